// The blocks that a walk over glibc's chunks finds one after the other.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// Blocks in address order, with numbers from 0 on until runs are put together.
struct ChunkRun {
  private(set) var pages: [HeapPage] = []
  private(set) var starts = BitSet(capacity: 0)
  private(set) var live = BitSet(capacity: 0)
  /// The first number that is not in use.
  private var nextNumber = 0
  /// The page of chunks that is being filled, and its first number.
  private var open: Range<UInt64>?
  private var openNumber = 0

  var isEmpty: Bool { pages.isEmpty && open == nil }
  /// The addresses from its first block to the end of its last.
  var extent: Range<Address>? {
    guard let first = pages.first, let last = pages.last else { return nil }
    return first.start..<last.end
  }

  /// Adds the block of a chunk, which follows the last one immediately.
  /// - Parameters:
  ///   - block: the address that malloc returned.
  ///   - size: the chunk's size, a multiple of 16.
  @inline(__always)
  mutating func add(_ block: UInt64, size: UInt64, isLive: Bool) {
    if size >= ChunkMap.largestChunk { return addLarge(block, size: size, isLive: isLive) }
    let start = open?.lowerBound ?? block
    if open == nil { openNumber = nextNumber }
    let number = openNumber + Int(truncatingIfNeeded: (block - start) >> 4)
    nextNumber = number + Int(size >> 4)
    if nextNumber > live.capacity { grow() }
    starts.insert(number)
    if isLive { live.insert(number) }
    open = start..<block + size
  }

  /// Adds a large block, or one with a mapping of its own.
  mutating func addLarge(_ block: UInt64, size: UInt64, isLive: Bool, kind: HeapPage.Kind = .span, reserved: UInt8 = 8) {
    close()
    pages.append(
      HeapPage(
        start: Address(block), blockSize: size, firstBlock: nextNumber, blockCount: 1, capacity: 1, kind: kind,
        reserved: reserved))
    nextNumber += 1
    if nextNumber > live.capacity { grow() }
    if isLive { live.insert(nextNumber - 1) }
  }

  /// Ends the page of chunks that is being filled.
  mutating func close() {
    guard let range = open else { return }
    open = nil
    let units = Int(range.upperBound - range.lowerBound) >> 4
    pages.append(
      HeapPage(
        start: Address(range.lowerBound), blockSize: 16, firstBlock: openNumber, blockCount: units, capacity: units, kind: .chunks,
        reserved: 8))
  }

  private mutating func grow() {
    let capacity = (nextNumber + 1 << 15) & ~63
    starts.grow(to: capacity)
    live.grow(to: capacity)
  }

  /// Puts runs together to a heap. They must be closed, in address order and without overlaps.
  static func heap(_ runs: [ChunkRun], _ mirror: MemoryMirror) -> Heap {
    var pages: [HeapPage] = []
    var starts: [UInt64] = []
    var live: [UInt64] = []
    for run in runs {
      let first = live.count * 64
      pages += run.pages.map { $0.renumbered(by: first) }
      let words = (run.nextNumber + 63) / 64
      starts += run.starts.words[..<words]
      live += run.live.words[..<words]
    }
    return Heap(
      pages: pages, live: BitSet(words: live), mirror: mirror, table: PageTable(pages), chunks: ChunkMap(starts: BitSet(words: starts)))
  }
}

extension HeapPage {
  fileprivate func renumbered(by offset: Int) -> HeapPage {
    HeapPage(
      start: start, blockSize: blockSize, firstBlock: firstBlock + offset, blockCount: blockCount, capacity: capacity, kind: kind,
      reserved: reserved)
  }
}
