// Which blocks a word, or a block's contents, point to.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Resolves words to live blocks, as a conservative search does.
///
/// A word points to a block if it is an address anywhere in it. The address just behind a block counts for it only where no
/// other live block lies there: a pointer that has run to the end keeps its array, but a neighbour's address keeps only the
/// neighbour. In a Swift process the bits that Swift keeps in pointers are taken off as well.
struct BlockScanner {
  let heap: Heap
  let mirror: MemoryMirror
  /// Whether Swift's runtime is loaded.
  let isSwift: Bool
  private let low: UInt64
  private let extent: UInt64

  init(_ heap: Heap, isSwift: Bool) {
    self.heap = heap
    mirror = heap.mirror
    self.isSwift = isSwift
    low = heap.pages.first?.start.rawValue ?? 0
    let end = heap.pages.last?.end.rawValue ?? 0
    extent = end &- low &+ 1
  }

  /// Whether an address lies between the first block and the last.
  @inline(__always)
  func isInHeap(_ address: UInt64) -> Bool { address &- low < extent }

  /// The live block that `word` points to.
  @inline(__always)
  func target(of word: UInt64) -> BlockIndex? {
    if word &- low < extent { return block(at: word) }
    if isSwift && word >> 48 != 0 { return swiftTarget(of: word) }
    return nil
  }

  /// Payload bits of enums, flags of strings and bridge objects lie above the address or in its last three bits. An object with
  /// weak references holds its side table's address shifted right by three, under two set bits.
  private func swiftTarget(of word: UInt64) -> BlockIndex? {
    let stripped = word & 0x0000_7fff_ffff_fff8
    if stripped &- low < extent, let block = block(at: stripped) { return block }
    guard word >> 62 == 3 else { return nil }
    let sideTable = word << 3
    return sideTable &- low < extent ? block(at: sideTable) : nil
  }

  @inline(__always)
  private func block(at address: UInt64) -> BlockIndex? {
    if let block = heap.block(containing: Address(address)), heap.isLive(block) { return block }
    return blockEnding(at: address)
  }

  private func blockEnding(at address: UInt64) -> BlockIndex? {
    guard address & 15 == 0, let block = heap.block(endingAt: Address(address)), heap.isLive(block) else { return nil }
    return block
  }

  /// Whether a word may point to a block; false for most that do not.
  @inline(__always)
  func mayBeReference(_ word: UInt64) -> Bool { word &- low < extent || isSwift && word >> 48 != 0 }

  /// The rank of the live block that a word points to, and the disguise that the word is in, if any.
  @inline(__always)
  func reference(_ word: UInt64, _ ranks: Ranks) -> (node: UInt32, disguise: Disguise?)? {
    if let block = heap.block(containing: Address(word)), let rank = ranks.rank(of: heap.number(of: block)) {
      // An address within a block is the plainest, but need not be within what the program may use of it.
      let isStart = heap.address(of: block).rawValue == word
      return (UInt32(rank), isStart ? nil : disguise(of: word, pointingTo: block))
    }
    guard let block = target(of: word), let rank = ranks.rank(of: heap.number(of: block)) else { return nil }
    return (UInt32(rank), disguise(of: word, pointingTo: block))
  }

  /// In what disguise a word points to `block`; nil for a plain address in it.
  @inline(__always)
  func disguise(of word: UInt64, pointingTo block: BlockIndex) -> Disguise? {
    let start = heap.address(of: block).rawValue
    let size = heap.usableSize(of: block)
    if word &- start < size { return nil }
    if word &- start == size { return .end }
    return word >> 62 == 3 && word << 3 &- start < size ? .sideTable : .tagged
  }

  /// Calls `body` for each word of a block that points to a live block, with the word's offset in bytes and its value.
  @inline(__always)
  func forEachTarget(of block: BlockIndex, _ body: (_ offset: UInt64, _ word: UInt64, _ target: BlockIndex) -> Void) -> UInt64 {
    let start = heap.address(of: block)
    let size = heap.usableSize(of: block)
    // Looked up beforehand: reading other memory meanwhile could discard this block's.
    let skipped: UInt64 = isSideTable(start, size) ? 8 : 0
    mirror.forEachSpan(from: start + skipped, count: size - skipped) { address, bytes in
      let offset = address - start
      for index in 0..<bytes.count / 8 {
        let word = bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
        if let target = target(of: word) { body(offset + UInt64(index) * 8, word, target) }
      }
    }
    return size
  }

  static let sideTableSizes: ClosedRange<UInt64> = 32...64

  /// Whether a block is the side table of a Swift object: its first word is the object, and the object's second word is the
  /// table's address in the form that says so. That first word does not keep the object alive: it serves weak references.
  func isSideTable(_ start: Address, _ size: UInt64) -> Bool {
    guard isSwift, Self.sideTableSizes.contains(size), let object = mirror.word(start), object &- low < extent,
      let counts = mirror.word(Address(object) + 8)
    else { return false }
    return counts >> 62 == 3 && counts << 3 == start.rawValue
  }
}
