// Step three: the memory of each arena, chunk by chunk.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

extension GlibcHeapReader {
  /// Where a walk over chunks has come to.
  enum WalkEnd: Equatable {
    /// At the limit: the top, or the end of the memory.
    case limit
    /// At a fencepost: nothing follows here.
    case fencepost(UInt64)
    /// At a header that can't be one.
    case damaged(UInt64)
  }

  mutating func readArenas(_ records: [ArenaRecord], _ parameters: [MallocParameters]) -> [GlibcHeap.Arena] {
    var bases = parameters.map(\.base).filter { $0 != 0 }[...]
    return records.map { record in
      let isWithoutMemory = record.top == record.initialTop
      let top = isWithoutMemory ? record.top..<record.top : topRange(record)
      let ranges =
        isWithoutMemory ? [] : record.isMain ? readMainArena(record, top, base: bases.popFirst()) : readHeaps(record, top)
      return GlibcHeap.Arena(
        state: Address(record.state)..<Address(record.end), isMain: record.isMain, ranges: ranges.map { Address($0.lowerBound)..<Address($0.upperBound) },
        top: Address(top.lowerBound)..<Address(top.upperBound))
    }
  }

  /// The top by its own header; empty where that can't be true.
  private mutating func topRange(_ arena: ArenaRecord) -> Range<UInt64> {
    let top = arena.top
    if top & 15 == 0, let header = word(top &+ 8) {
      let size = header & ~GlibcLayout.flags
      if size & 8 == 0, size >= 16, mirror.isMapped(top, size) { return top..<top + size }
    }
    // While a block is cut from the top, the new top has no header yet.
    if let mapping = mirror.mapping(containing: Address(top)) { return top..<mapping.end.rawValue }
    log.note(.arena, Address(arena.state), "the arena at \(Address(arena.state)) has its top at \(Address(top)), where nothing is mapped")
    return top..<top
  }

  /// The main arena: from its base up to the top, where nobody else has moved the program break in between; else in several
  /// stretches, each but the last ended by fenceposts.
  private mutating func readMainArena(_ arena: ArenaRecord, _ top: Range<UInt64>, base: UInt64?) -> [Range<UInt64>] {
    var ranges: [Range<UInt64>] = []
    var start = base ?? firstChunk(from: mirror.mapping(containing: Address(top.lowerBound))?.start.rawValue ?? top.lowerBound, top)
    while let from = start {
      start = nil
      let isBelow = from <= top.lowerBound && mirror.isMapped(from, top.lowerBound - from)
      let limit = isBelow ? top.lowerBound : mirror.mapping(containing: Address(from))?.end.rawValue ?? from
      switch walk(from, to: limit, top) {
      case .limit where isBelow:
        ranges.append(from..<max(top.upperBound, limit))
        return ranges
      case .limit:
        ranges.append(from..<limit)
      case .fencepost(let end):
        ranges.append(from..<self.end(ofFenceposts: end))
        start = isBelow ? firstChunk(from: self.end(ofFenceposts: end), top) : nil
      case .damaged(let end):
        log.note(.chunk, Address(end), "the chunk at \(Address(end)) is damaged: what follows is searched for the next one")
        ranges.append(from..<end)
        start = isBelow ? firstChunk(from: end + 16, top) : nil
        if ranges.count > Self.mostStretches { return ranges }
      }
    }
    // The break could not be moved any further, and memory was mapped instead.
    return ranges + readMappedStretches(arena, top, known: ranges)
  }

  static let mostStretches = 1024
  /// Memory that is searched for a chunk, in bytes.
  private static let searchLimit: UInt64 = 256 << 20

  /// The lowest address from which a walk goes on well for a while or comes to the top.
  private func firstChunk(from start: UInt64, _ top: Range<UInt64>) -> UInt64? {
    var position = (start + 15) & ~15
    let end = min(top.lowerBound, position &+ Self.searchLimit)
    while position < end {
      if let header = word(position + 8), header & GlibcLayout.previousInUse != 0, isPlausible(position, top.lowerBound) { return position }
      position += 16
    }
    return position == top.lowerBound ? position : nil
  }

  private func isPlausible(_ start: UInt64, _ limit: UInt64) -> Bool {
    var position = start
    for _ in 0..<64 {
      if position == limit { return true }
      guard let header = word(position + 8), let size = chunkSize(header), size <= limit - position else { return false }
      if size == GlibcLayout.fencepost { return position != start }
      position += size
    }
    return true
  }

  /// The size in a chunk's header, a fencepost's included; nil where it can't be one.
  @inline(__always)
  func chunkSize(_ header: UInt64) -> UInt64? {
    let size = header & ~GlibcLayout.flags
    return size & 8 == 0 && size >= 16 && header & GlibcLayout.isMapped == 0 ? size : nil
  }

  /// Adds the blocks from the chunk at `start` up to `limit`.
  mutating func walk(_ start: UInt64, to limit: UInt64, _ top: Range<UInt64>) -> WalkEnd {
    var run = ChunkRun()
    defer {
      run.close()
      if !run.isEmpty { runs.append(run) }
    }
    // Not by the mirror, which would keep all of the heap's memory.
    let window = MemoryWindow(mirror)
    window.move(to: Address(start)..<Address(max(start, limit)))
    guard start < limit, var header = window.word(start + 8) else { return start == limit ? .limit : .damaged(start) }
    arenaStarts.insert(start)
    // While a block is cut from the top, it still has all of the top's size.
    let end = limit == top.lowerBound ? top.upperBound : limit
    var position = start
    while position < limit {
      guard var size = chunkSize(header), size <= end - position else { return .damaged(position) }
      if size == GlibcLayout.fencepost { return .fencepost(position) }
      let isCut = size > limit - position
      size = min(size, limit - position)
      let next = position + size
      // Upward, as the window moves.
      let footer = window.word(next)
      guard let nextHeader = window.word(next + 8) ?? (next == limit ? GlibcLayout.previousInUse : nil) else { return .damaged(position) }
      let isLive = isCut || nextHeader & GlibcLayout.previousInUse != 0
      if !isLive, footer != size {
        log.note(.chunk, Address(position), "the free chunk at \(Address(position)) ends in another size than its own: memory before or in it was overwritten")
      }
      run.add(position + GlibcLayout.headerSize, size: size, isLive: isLive)
      if isLive && Self.mayBeThreadCache(size) { threadCaches.append(position + GlibcLayout.headerSize) }
      position = next
      header = nextHeader
    }
    return .limit
  }

  private static func mayBeThreadCache(_ size: UInt64) -> Bool {
    size == GlibcLayout.threadCacheChunk(counterSize: 2) || size == GlibcLayout.threadCacheChunk(counterSize: 1)
  }
}
