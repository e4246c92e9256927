// Definite, indirect or cycle: what kind of leak each lost block is, and which other one it hangs on.
// SPDX-License-Identifier: Apache-2.0
import Heaps

/// The kinds of the nodes of a graph of lost blocks.
struct LeakClasses {
  /// By node; nil for nodes left out.
  private(set) var kinds: [LeakKind?]
  /// By node: for indirect leaks, a node of the definite leak or cycle that they went with; for others, the node itself.
  private(set) var owners: [UInt32]
  /// By node: the number of the cycle that it is part of, or ``noCycle``.
  private(set) var cycles: [UInt32]
  /// The lowest node of each cycle.
  private(set) var firstNodes: [UInt32] = []

  static let noCycle = UInt32.max

  init(_ graph: BlockGraph, leavingOut suppressed: BitSet) {
    let components = Components(graph)
    var isPointedTo = BitSet(capacity: components.count)
    for node in 0..<graph.count where !suppressed.contains(node) {
      let own = components.component[node]
      for target in graph.successors(of: node) where components.component[Int(target)] != own {
        isPointedTo.insert(Int(components.component[Int(target)]))
      }
    }
    kinds = [LeakKind?](repeating: .indirect, count: graph.count)
    owners = (0..<UInt32(graph.count)).map { $0 }
    cycles = [UInt32](repeating: Self.noCycle, count: graph.count)
    var roots: [Int] = []
    var cycleOfComponent: [UInt32: UInt32] = [:]
    for node in 0..<graph.count {
      let component = components.component[node]
      if suppressed.contains(node) {
        kinds[node] = nil
      } else if !isPointedTo.contains(Int(component)) {
        roots.append(node)
        let isCycle = components.sizes[Int(component)] > 1 || graph.selfReferences.contains(UInt32(node))
        kinds[node] = isCycle ? .cycle : .definite
        guard isCycle else { continue }
        if cycleOfComponent[component] == nil {
          cycleOfComponent[component] = UInt32(firstNodes.count)
          firstNodes.append(UInt32(node))
        }
        cycles[node] = cycleOfComponent[component]!
      }
    }
    // Each indirect leak goes with the first one that leads to it.
    var isOwned = suppressed
    for root in roots where !isOwned.contains(root) {
      graph.flood(from: CollectionOfOne(root), &isOwned) { if kinds[$0] == .indirect { owners[$0] = UInt32(root) } }
    }
  }
}
