// A second look at what would be lost: addresses that do not lie on a word's boundary, as packed structures have them.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Finds pointers at every byte offset to blocks that are not reached.
///
/// Such a word must be a block's very start: at so many offsets, chance hits would be too many otherwise.
struct UnalignedSearch {
  private let graph: ReferenceGraph
  private let marks: BitSet
  /// The addresses between the first and the last block that is not reached.
  private var low: UInt64 = .max
  private var extent: UInt64 = 0
  /// In each byte the one that all these addresses have at bits 40 to 47, or nil where they differ in that.
  private var commonByte: UInt64?

  /// - Parameter marks: the nodes that are reached. At least one is not.
  init(_ graph: ReferenceGraph, lost marks: BitSet) {
    self.graph = graph
    self.marks = marks
    var high: UInt64 = 0
    let heap = graph.scanner.heap
    heap.forEachBlock(in: heap.live.subtracting(graph.ranks.members(marks))) {
      let address = heap.address(of: $0).rawValue
      low = min(low, address)
      high = max(high, address)
    }
    extent = high &- low
    if low >> 40 == high >> 40 { commonByte = (low >> 40 & 0xff) &* Self.ones }
  }

  private static let ones: UInt64 = 0x0101_0101_0101_0101

  func references(from roots: Roots) -> [(UInt32, Disguise)] {
    var result: [(UInt32, Disguise)] = []
    for range in roots.ranges {
      var edge = SpanEdge()
      graph.scanner.mirror.stream(range) { start, bytes in
        scan(start.rawValue, bytes, &edge) { result.append(($0, .unaligned)) }
      }
    }
    return result
  }

  /// The references in all live blocks.
  func references() -> [DisguisedReference] {
    var result: [DisguisedReference] = []
    var node: UInt32 = 0
    LiveMemory(graph.scanner.heap).forEachBlock { address, size, window in
      var edge = SpanEdge()
      window.forEachSpan(from: address, to: address + size) { start, bytes in
        scan(start, bytes, &edge) { result.append(DisguisedReference(source: node, target: $0, disguise: .unaligned)) }
      }
      node += 1
    }
    return result
  }

  @inline(__always)
  private func scan(_ start: UInt64, _ bytes: UnsafeRawBufferPointer, _ edge: inout SpanEdge, _ found: (UInt32) -> Void) {
    guard bytes.count >= 8 else { return }
    var before = edge.end == start ? edge.word : 0
    var isBefore = mayHoldPart(before)
    for offset in stride(from: 0, through: bytes.count - 8, by: 8) {
      let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      let isHere = mayHoldPart(word)
      if isBefore || isHere {
        for shift in stride(from: UInt64(8), to: 64, by: 8) {
          let address = before &>> shift | word &<< (64 &- shift)
          if address &- low <= extent, let node = lostBlock(at: address) { found(node) }
        }
      }
      (before, isBefore) = (word, isHere)
    }
    edge = SpanEdge(end: start + UInt64(bytes.count), word: before)
  }

  /// Whether a word can be the part of an address that tells where the heap is.
  @inline(__always)
  private func mayHoldPart(_ word: UInt64) -> Bool {
    guard let commonByte else { return word != 0 }
    let difference = word ^ commonByte
    return (difference &- Self.ones) & ~difference & (Self.ones << 7) != 0
  }

  private func lostBlock(at address: UInt64) -> UInt32? {
    let heap = graph.scanner.heap
    guard let block = heap.block(containing: Address(address)), heap.address(of: block).rawValue == address,
      let node = graph.node(of: block), !marks.contains(Int(node))
    else { return nil }
    return node
  }
}

/// Where a stretch of memory ended, and its last word: an unaligned one may begin there and go on in the next stretch.
private struct SpanEdge {
  var end: UInt64 = 0
  var word: UInt64 = 0
}
