// Which lost blocks point to which: the graph that tells what was lost first and what only went with it.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// A directed graph of blocks, in arrays: 4 bytes a pointer and some 12 bytes a block.
struct BlockGraph {
  /// The blocks, in address order; a node is an index in here.
  let blocks: [BlockIndex]
  /// The nodes that node n points to are `targets[starts[n] ..< starts[n + 1]]`. Without pointers of a block to itself.
  private(set) var targets: [UInt32] = []
  private(set) var starts: [Int] = [0]
  /// Nodes that hold a reference to themselves.
  private(set) var selfReferences: Set<UInt32> = []
  /// Nodes whose first word points to a lost block, and so not to the description of a type: those the runtime keeps.
  private(set) var untyped: BitSet

  /// - Parameter numbers: the numbers of the blocks.
  init(_ scanner: BlockScanner, numbers: BitSet) {
    let heap = scanner.heap
    let ranks = Ranks(numbers)
    var blocks: [BlockIndex] = []
    blocks.reserveCapacity(numbers.count)
    heap.forEachBlock(in: numbers) { blocks.append($0) }
    self.blocks = blocks
    untyped = BitSet(capacity: blocks.count)
    starts.reserveCapacity(blocks.count + 1)
    for (node, block) in blocks.enumerated() {
      let first = targets.count
      _ = scanner.forEachTarget(of: block) { offset, word, target in
        let other = target == block ? node : ranks.rank(of: heap.number(of: target))
        if offset == 0 && other != nil { untyped.insert(node) }
        if target == block {
          // The first two words of an empty list, and a string's pointer to its own buffer, are no cycles of references.
          if offset >= 16, heap.address(of: block).rawValue == word { selfReferences.insert(UInt32(node)) }
        } else if let other {
          let other = UInt32(other)
          if targets.count == first || targets[targets.count - 1] != other { targets.append(other) }
        }
      }
      starts.append(targets.count)
    }
  }

  var count: Int { blocks.count }

  func successors(of node: Int) -> ArraySlice<UInt32> { targets[starts[node]..<starts[node + 1]] }

  /// Calls `body` once for every node that can be reached from `nodes`, these included, unless `isVisited` has it already.
  func flood(from nodes: some Sequence<Int>, _ isVisited: inout BitSet, _ body: (Int) -> Void) {
    var pending: [UInt32] = []
    for node in nodes where isVisited.insert(node) {
      pending.append(UInt32(node))
      while let next = pending.popLast() {
        body(Int(next))
        for successor in successors(of: Int(next)) where isVisited.insert(Int(successor)) { pending.append(successor) }
      }
    }
  }
}
