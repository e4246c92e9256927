// Nodes of C++ containers (libstdc++: bits/stl_tree.h, bits/stl_list.h), told by how they are linked.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Finds the nodes of trees and lists among blocks without a type. A node counts only where the links to and from its
/// neighbours, and the container's own count of nodes, prove it.
struct ContainerNodes {
  private let heap: Heap
  private let mirror: MemoryMirror
  private let untyped: BitSet

  init(_ heap: Heap, _ untyped: BitSet) {
    self.heap = heap
    mirror = heap.mirror
    self.untyped = untyped
  }

  func label(_ labels: inout BlockLabels) {
    let ranks = Ranks(untyped)
    var isTreeNode = BitSet(capacity: untyped.count)
    var isListMember = BitSet(capacity: untyped.count)
    let (tree, list) = (labels.number(of: .container("std::map or set node")), labels.number(of: .container("std::list node")))
    heap.forEachBlock(in: untyped) { block in
      let address = heap.address(of: block)
      let size = heap.usableSize(of: block)
      guard let first = mirror.word(address) else { return }
      if first & 0xffff_ffff <= 1, size >= 40 {
        if isTree(address, ranks, &isTreeNode) { labels.set(tree, for: block) }
      } else if size >= 24, first & 7 == 0, !isListMember.contains(ranks.rank(of: heap.number(of: block)) ?? 0) {
        for member in ring(from: block, ranks, &isListMember) { labels.set(list, for: member) }
      }
    }
  }

  /// A node: colour, parent, left, right. Up to the header, which lies in the container: 0, root, leftmost, rightmost, count.
  private func isTree(_ node: Address, _ ranks: Ranks, _ isNode: inout BitSet) -> Bool {
    var path: [Int] = []
    var current = node
    // A red-black tree of 2^48 nodes is no higher than this.
    for _ in 0..<96 {
      guard let rank = rank(ofBlockAt: current, ranks) else { return false }
      if isNode.contains(rank) { break }
      guard let color = mirror.word(current), color & 0xffff_ffff <= 1, let up = mirror.word(current + 8), up != 0, up & 7 == 0,
        isChild(mirror.word(current + 16), of: current), isChild(mirror.word(current + 24), of: current)
      else { return false }
      path.append(rank)
      let parent = Address(up)
      if mirror.word(parent + 8) == current.rawValue {
        guard isHeader(parent) else { return false }
        for rank in path { isNode.insert(rank) }
        return true
      }
      guard mirror.word(parent + 16) == current.rawValue || mirror.word(parent + 24) == current.rawValue else { return false }
      current = parent
    }
    for rank in path { isNode.insert(rank) }
    return rank(ofBlockAt: current, ranks).map { isNode.contains($0) } ?? false
  }

  private func isChild(_ child: UInt64?, of node: Address) -> Bool {
    guard let child else { return false }
    return child == 0 || child & 7 == 0 && mirror.word(Address(child) + 8) == node.rawValue
  }

  private func isHeader(_ header: Address) -> Bool {
    guard let color = mirror.word(header), color & 0xffff_ffff == 0, let leftmost = mirror.word(header + 16),
      let rightmost = mirror.word(header + 24), let count = mirror.word(header + 32), count > 0,
      mirror.word(Address(leftmost) + 16) == 0, mirror.word(Address(rightmost) + 24) == 0
    else { return false }
    return (count == 1) == (leftmost == rightmost)
  }

  private func rank(ofBlockAt address: Address, _ ranks: Ranks) -> Int? {
    guard let block = heap.block(containing: address), heap.address(of: block) == address else { return nil }
    return ranks.rank(of: heap.number(of: block))
  }

  /// A node: next, previous. The ring of them closes in the container, which has the count behind its own pair. Members are
  /// marked, so that each ring is followed once.
  private func ring(from block: BlockIndex, _ ranks: Ranks, _ isMember: inout BitSet) -> [BlockIndex] {
    let start = heap.address(of: block)
    guard let next = mirror.word(start), let previous = mirror.word(start + 8), next != start.rawValue, previous & 7 == 0,
      mirror.word(Address(next) + 8) == start.rawValue, mirror.word(Address(previous)) == start.rawValue
    else { return [] }
    var members: [BlockIndex] = []
    var container: Address?
    var current = start
    repeat {
      if let found = heap.block(containing: current), heap.address(of: found) == current, let rank = ranks.rank(of: heap.number(of: found)) {
        // A ring that does not come back to its start would be walked for ever.
        guard isMember.insert(rank) else { return [] }
        members.append(found)
      } else if container == nil {
        container = current
      } else {
        return []
      }
      guard let next = mirror.word(current), next & 7 == 0, mirror.word(Address(next) + 8) == current.rawValue else { return [] }
      current = Address(next)
    } while current != start
    guard let container, mirror.word(container + 16) == UInt64(members.count) else { return [] }
    return members
  }
}
