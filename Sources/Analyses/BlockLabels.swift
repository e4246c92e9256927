// What is known of blocks whose first word tells no type: a label for each.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// What a block without a type of its own is.
enum BlockLabel: Hashable {
  /// A node or the memory of a C++ container.
  case container(String)
  /// Other memory of a runtime.
  case runtime(String)
  /// A word in a typed object, or at a variable or place outside of the heap, points to it.
  case held(by: String, type: String?)
  /// A block without a type points to it.
  case heldByBlock(size: UInt64, offset: UInt64?)
  /// Blocks of its own size point to it.
  case linked(offset: UInt64?)
  /// Nothing points to its start.
  case unknown

  /// Of several that fit one block the highest counts.
  var rank: UInt32 {
    switch self {
    case .container, .runtime: 4
    case .held: 3
    case .heldByBlock: 2
    case .linked: 1
    case .unknown: 0
    }
  }
}

/// Labels of blocks, 4 bytes each.
struct BlockLabels {
  let heap: Heap
  private let untyped: BitSet
  private let ranks: Ranks
  /// By block: a label's number, its rank above it.
  private var labels: [UInt32]
  private var known: [BlockLabel] = [.unknown]
  private var numbers: [BlockLabel: UInt32] = [.unknown: 0]
  private static let shift: UInt32 = 29
  private static let mask: UInt32 = 1 << shift - 1

  init(_ heap: Heap, untyped: BitSet) {
    self.heap = heap
    self.untyped = untyped
    ranks = Ranks(untyped)
    labels = [UInt32](repeating: 0, count: untyped.count)
  }

  /// The rank of the label that a block has; nil for blocks that need none.
  @inline(__always)
  func rank(of block: BlockIndex) -> UInt32? {
    ranks.rank(of: heap.number(of: block)).map { labels[$0] >> Self.shift }
  }

  mutating func set(_ label: BlockLabel, for block: BlockIndex) { set(number(of: label), for: block) }

  /// - Parameter number: a label's, as ``number(of:)`` gives it.
  @inline(__always)
  mutating func set(_ number: UInt32, for block: BlockIndex) {
    guard let rank = ranks.rank(of: heap.number(of: block)) else { return }
    if labels[rank] >> Self.shift < number >> Self.shift { labels[rank] = number }
  }

  mutating func number(of label: BlockLabel) -> UInt32 {
    if let number = numbers[label] { return number }
    guard known.count < Int(Self.mask) else { return 0 }
    let number = UInt32(known.count) | label.rank << Self.shift
    numbers[label] = number
    known.append(label)
    return number
  }

  /// The blocks counted by label; what is held alike is one type, whatever its sizes.
  var counts: [HeapCensus.TypeCount] {
    struct Group {
      var count = BlockCount()
      var smallest = UInt64.max
      var largest: UInt64 = 0
    }
    var groups = [Group](repeating: Group(), count: known.count)
    var unknown: [UInt64: BlockCount] = [:]
    var rank = 0
    heap.forEachBlock(in: untyped) { block in
      let size = heap.usableSize(of: block)
      let label = Int(labels[rank] & Self.mask)
      rank += 1
      guard label > 0 else {
        unknown[size, default: BlockCount()] += BlockCount(blocks: 1, bytes: size)
        return
      }
      groups[label].count += BlockCount(blocks: 1, bytes: size)
      groups[label].smallest = min(groups[label].smallest, size)
      groups[label].largest = max(groups[label].largest, size)
    }
    var result = unknown.map { HeapCensus.TypeCount(name: "block of \(byteText($0, exact: true))", evidence: .holder, count: $1) }
    for (label, group) in zip(known, groups) where group.count.blocks > 0 {
      let size = group.smallest == group.largest ? group.smallest : nil
      result.append(
        HeapCensus.TypeCount(
          name: label.description(size: size, count: group.count.blocks), evidence: label.rank == 4 ? .structure : .holder,
          count: group.count))
    }
    return result
  }
}

extension BlockLabel {
  /// - Parameter size: of all blocks with the label; nil where it differs.
  func description(size: UInt64?, count: Int) -> String {
    let block = size.map { "block of \(byteText($0, exact: true))" } ?? "blocks of several sizes"
    func place(_ offset: UInt64?) -> String { offset.map { "+0x" + String($0, radix: 16) } ?? "" }
    switch self {
    case .container(let name): return name + (size.map { " (\(byteText($0, exact: true)))" } ?? "")
    case .runtime(let name): return name
    case .held(let holder, let type): return (type.map { $0 } ?? block) + ", held by \(holder)"
    case .heldByBlock(let holder, let offset): return "\(block), held by block of \(byteText(holder, exact: true))\(place(offset))"
    case .linked(let offset): return "\(block), linked by \(place(offset).isEmpty ? "each other" : place(offset))"
    case .unknown: return block
    }
  }
}
