// The strongly connected components of a graph of blocks: blocks that hold each other.
// SPDX-License-Identifier: Apache-2.0

/// Components by Tarjan's algorithm (SIAM J. Comput. 1, 1972), iterative, in time and memory linear in the graph.
struct Components {
  /// The component of each node.
  private(set) var component: [UInt32]
  /// How many components there are, and the nodes of each.
  private(set) var sizes: [UInt32] = []

  private static let unseen = UInt32.max

  init(_ graph: BlockGraph) {
    let count = graph.count
    component = [UInt32](repeating: Self.unseen, count: count)
    var order = [UInt32](repeating: Self.unseen, count: count)
    var low = [UInt32](repeating: 0, count: count)
    /// Nodes seen whose component is not known yet.
    var open: [UInt32] = []
    /// The path from the root of the search, with the next of each node's pointers to follow.
    var path: [(node: UInt32, next: Int)] = []
    var seen: UInt32 = 0

    for root in 0..<count where order[root] == Self.unseen {
      path.append((UInt32(root), graph.starts[root]))
      while let (current, next) = path.last {
        let node = Int(current)
        if order[node] == Self.unseen {
          order[node] = seen
          low[node] = seen
          seen += 1
          open.append(current)
        }
        if next < graph.starts[node + 1] {
          path[path.count - 1].next = next + 1
          let target = Int(graph.targets[next])
          if order[target] == Self.unseen {
            path.append((UInt32(target), graph.starts[target]))
          } else if component[target] == Self.unseen {
            low[node] = min(low[node], order[target])
          }
          continue
        }
        path.removeLast()
        if let parent = path.last { low[Int(parent.node)] = min(low[Int(parent.node)], low[node]) }
        guard low[node] == order[node] else { continue }
        var size: UInt32 = 0
        while let member = open.popLast() {
          component[Int(member)] = UInt32(sizes.count)
          size += 1
          if member == current { break }
        }
        sizes.append(size)
      }
    }
  }

  var count: Int { sizes.count }
}
