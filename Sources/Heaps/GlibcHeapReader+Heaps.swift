// The heaps of arenas that are not the main one, and the main arena's memory where the program break could not be moved.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

extension GlibcHeapReader {
  /// An arena's heaps, from the one with the top back to the one with the arena itself. Each starts with a `heap_info` at a
  /// multiple of its greatest size, and each but the last ends in fenceposts.
  mutating func readHeaps(_ arena: ArenaRecord, _ top: Range<UInt64>) -> [Range<UInt64>] {
    guard let alignment = GlibcLayout.heapAlignments.first(where: { word(top.lowerBound & ~($0 - 1)) == arena.state }) else {
      log.note(.arena, Address(arena.state), "the top of the arena at \(Address(arena.state)) is not in one of its heaps: its blocks are left out")
      return []
    }
    // The arena itself follows the first heap's heap_info, whose size depends on the version.
    let infoSize = arena.state & (alignment - 1)
    var ranges: [Range<UInt64>] = []
    var heap = top.lowerBound & ~(alignment - 1)
    var loop = LoopDetector()
    while heap != 0 {
      guard !loop.isRepeated(heap), heap & (alignment - 1) == 0, word(heap) == arena.state,
        let previous = word(heap + GlibcLayout.heapPrevious), let size = word(heap + GlibcLayout.heapSize),
        size <= alignment, size >= infoSize, mirror.isMapped(heap, size)
      else {
        log.note(.arena, Address(heap), "the heap at \(Address(heap)) of the arena at \(Address(arena.state)) is damaged: those before it are left out")
        break
      }
      ranges.append(heap..<heap + size)
      let holdsArena = arena.state == heap + infoSize
      // The arena's size is no multiple of 16, chunks start at one.
      let start = ((holdsArena ? arena.end : heap + infoSize) + 15) & ~15
      let holdsTop = top.lowerBound >= heap && top.lowerBound < heap + size
      readHeap(start, holdsTop ? top.lowerBound : fencepost(endOf: heap, size), top)
      heap = previous
    }
    return ranges.sorted { $0.lowerBound < $1.lowerBound }
  }

  /// The fencepost in front of the one in a heap's last 16 bytes, which repeats the size of that before it.
  private func fencepost(endOf heap: UInt64, _ size: UInt64) -> UInt64 {
    let last = heap + size - GlibcLayout.fencepost
    let before = word(last) ?? 0
    return last - (before == 2 * GlibcLayout.fencepost ? before : GlibcLayout.fencepost)
  }

  /// - Parameter limit: the top, or the first fencepost.
  private mutating func readHeap(_ start: UInt64, _ limit: UInt64, _ top: Range<UInt64>) {
    switch walk(start, to: limit, top) {
    case .limit: break
    case .fencepost(let end), .damaged(let end):
      log.note(.chunk, Address(end), "the chunk at \(Address(end)) is damaged: the rest of its heap is left out")
    }
  }

  /// The stretches of the main arena that were mapped: each starts on a page, all but the one with the top end in fenceposts.
  mutating func readMappedStretches(_ arena: ArenaRecord, _ top: Range<UInt64>, known: [Range<UInt64>]) -> [Range<UInt64>] {
    var ranges: [Range<UInt64>] = []
    var missing = arena.systemMemory &- known.reduce(0) { $0 &+ ($1.upperBound - $1.lowerBound) }
    let gaps = anonymousGaps(known.map { Address($0.lowerBound)..<Address($0.upperBound) }.merged())
    for gap in gaps {
      var start = gap.lowerBound
      while start < gap.upperBound, missing >= Self.smallestStretch, missing <= arena.systemMemory {
        guard let (limit, end) = stretch(start, gap.upperBound, top) else {
          start += 4096
          continue
        }
        _ = walk(start, to: limit, limit == top.lowerBound ? top : start..<limit)
        ranges.append(start..<end)
        missing &-= end - start
        start = (end + 4095) & ~4095
      }
    }
    return ranges
  }

  /// The least that is mapped for the main arena at once, less what the fenceposts' rounding takes.
  private static let smallestStretch: UInt64 = 4096

  /// Where the fenceposts at `position` end: two, or three where the top that they replaced was too small to be freed.
  func end(ofFenceposts position: UInt64) -> UInt64 {
    var end = position
    while end < position + 3 * GlibcLayout.fencepost, word(end + 8).flatMap(chunkSize) == GlibcLayout.fencepost {
      end += GlibcLayout.fencepost
    }
    return max(end, position + GlibcLayout.fencepost)
  }

  /// The end of the blocks and of the whole stretch that starts at `start`: it is ended by the top, or by fenceposts in the last
  /// 32 bytes of a page.
  private func stretch(_ start: UInt64, _ limit: UInt64, _ top: Range<UInt64>) -> (limit: UInt64, end: UInt64)? {
    var position = start
    while position < limit {
      if position == top.lowerBound && position > start { return (position, top.upperBound) }
      guard let header = word(position + 8), position > start || header & GlibcLayout.previousInUse != 0,
        let size = chunkSize(header), size <= limit - position
      else { return nil }
      if size == GlibcLayout.fencepost {
        let end = end(ofFenceposts: position)
        return position > start && end - position > size && end % 4096 == 0 ? (position, end) : nil
      }
      position += size
    }
    return nil
  }
}

extension Mapping {
  /// Whether it may be memory that malloc mapped for itself.
  var isAnonymousMemory: Bool {
    isReadable && isWritable && !isShared && inode == 0 && (name.isEmpty || name.hasPrefix("[anon:"))
  }
}
