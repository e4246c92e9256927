// A second look at what would be lost: addresses that do not lie on a word's boundary, as packed structures have them.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

extension Reachability {
  /// Follows pointers at every byte offset from what is reachable to what is not, as long as there are any. Costs nothing where
  /// nothing is lost.
  ///
  /// Such a word must be a block's very start: at so many offsets, chance hits would be too many otherwise.
  mutating func followUnaligned(_ roots: Roots) {
    guard let lost = LostExtent(scanner.heap, marks) else { return }
    for range in roots.ranges {
      var edge = SpanEdge()
      scanner.mirror.stream(range) { scanUnaligned($0, $1, lost, &edge) }
      drain()
    }
    var scanned = BitSet(capacity: marks.capacity)
    while true {
      let fresh = marks.subtracting(scanned)
      if fresh.isEmpty { return }
      scanned = marks
      scanner.heap.forEachBlock(in: fresh) { block in
        var edge = SpanEdge()
        scanner.forEachSpan(of: block) { scanUnaligned($0, $1, lost, &edge) }
        drain()
      }
    }
  }

  private mutating func scanUnaligned(
    _ start: Address, _ bytes: UnsafeRawBufferPointer, _ lost: LostExtent, _ edge: inout SpanEdge
  ) {
    guard bytes.count >= 8 else { return }
    var low = edge.end == start ? edge.word : 0
    defer { edge = SpanEdge(end: start + UInt64(bytes.count), word: low) }
    for offset in stride(from: 0, through: bytes.count - 8, by: 8) {
      let high = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      if low != 0 || high != 0 {
        for shift in stride(from: UInt64(8), to: 64, by: 8) {
          let word = low &>> shift | high &<< (64 &- shift)
          if word &- lost.low <= lost.extent { markUnaligned(word) }
        }
      }
      low = high
    }
  }

  private mutating func markUnaligned(_ word: UInt64) {
    let heap = scanner.heap
    guard let block = heap.block(containing: Address(word)), heap.isLive(block), heap.address(of: block).rawValue == word else { return }
    if insert(block) { disguises[.unaligned] += 1 }
  }
}

/// Where a stretch of memory ended, and its last word: an unaligned one may begin there and go on in the next stretch.
private struct SpanEdge {
  var end = Address(0)
  var word: UInt64 = 0
}

/// The addresses between the first and the last block that is not reached.
private struct LostExtent {
  var low: UInt64 = .max
  var extent: UInt64 = 0

  /// Nil where every live block is reached.
  init?(_ heap: Heap, _ marks: BitSet) {
    var high: UInt64 = 0
    heap.forEachBlock(in: heap.live.subtracting(marks)) {
      let address = heap.address(of: $0).rawValue
      low = min(low, address)
      high = max(high, address)
    }
    guard low <= high else { return nil }
    extent = high - low
  }
}
