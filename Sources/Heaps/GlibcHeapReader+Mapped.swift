// Step four: blocks with mappings of their own. Nothing leads to them but the program's pointers, so their headers are looked for.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

extension GlibcHeapReader {
  /// Adds the mapped blocks and returns what they take, in address order.
  ///
  /// A mapping of the kernel's may hold several of them, and other memory before and behind them. First the starts of mappings
  /// are tried, which finds nearly all; if malloc counts more, every page is looked at.
  mutating func readMappedChunks(_ parameters: [MallocParameters], excluding known: [Range<Address>]) -> [Range<Address>] {
    let counts = parameters.map(\.mappedCount)
    let expected = counts.contains(nil) ? nil : counts.reduce(0) { $0 + ($1 ?? 0) }
    if expected == 0 && !parameters.isEmpty { return [] }
    let bytes = parameters.reduce(0) { $0 &+ $1.mappedBytes }
    let gaps = anonymousGaps(known)
    var found: [MappedChunk] = []
    for gap in gaps { found += chain(from: gap.lowerBound) }
    if found.count != expected || parameters.isEmpty || found.reduce(0, { $0 &+ $1.size }) != bytes {
      found = scan(gaps)
    }
    if let expected, found.count > expected {
      log.note(
        .chunk, Address(found[0].start),
        "\(found.count) pieces of memory look like blocks with a mapping of their own, but malloc counts \(expected)")
    }
    for chunk in found {
      var run = ChunkRun()
      run.addLarge(chunk.block, size: chunk.end - chunk.block, isLive: true, kind: .mapped, reserved: 0)
      runs.append(run)
    }
    return found.map { Address($0.start)..<Address($0.end) }
  }

  private struct MappedChunk {
    var start: UInt64
    var block: UInt64
    var end: UInt64
    var size: UInt64 { end - start }
  }

  /// Anonymous memory that is not known to be something else, in address order.
  func anonymousGaps(_ known: [Range<Address>]) -> [Range<UInt64>] {
    var result: [Range<UInt64>] = []
    for mapping in mirror.mappings where mapping.isAnonymousMemory {
      var start = mapping.start
      for range in known where range.upperBound > start && range.lowerBound < mapping.end {
        if range.lowerBound > start { result.append(start.rawValue..<range.lowerBound.rawValue) }
        start = Address((max(start, range.upperBound).rawValue + 4095) & ~4095)
      }
      if start < mapping.end { result.append(start.rawValue..<mapping.end.rawValue) }
    }
    return result
  }

  /// The mapped blocks that lie at the starts of anonymous memory, which are nearly all.
  func chunksAtStarts(of gaps: [Range<UInt64>]) -> [Range<Address>] {
    gaps.flatMap { chain(from: $0.lowerBound) }.map { Address($0.start)..<Address($0.end) }
  }

  /// Blocks one behind the other from `start` on.
  private func chain(from start: UInt64) -> [MappedChunk] {
    var result: [MappedChunk] = []
    var position = start
    while let chunk = chunk(at: position) {
      result.append(chunk)
      position = chunk.end
    }
    return result
  }

  /// The block whose mapping begins at the page `start`, by the header there. A block that was asked for with an alignment lies
  /// further up, behind a header that says how much of the mapping lies before it, and the header at the start is a remnant.
  private func chunk(at start: UInt64) -> MappedChunk? {
    guard word(start) == 0, let end = end(header: start), mirror.isMapped(start, end - start) else { return nil }
    for shift in 6..<47 as Range<UInt64> {
      let alignment = UInt64(1) << shift
      let block = (start + 2 * GlibcLayout.headerSize + alignment - 1) & ~(alignment - 1)
      let header = block - GlibcLayout.headerSize
      if header >= end { break }
      if word(header) == header - start, self.end(header: header) == end { return MappedChunk(start: start, block: block, end: end) }
    }
    return MappedChunk(start: start, block: start + GlibcLayout.headerSize, end: end)
  }

  private func end(header: UInt64) -> UInt64? {
    guard let size = word(header + 8), size & GlibcLayout.flags == GlibcLayout.isMapped else { return nil }
    let (end, overflow) = header.addingReportingOverflow(size - GlibcLayout.isMapped)
    return !overflow && end % 4096 == 0 && end > header + GlibcLayout.headerSize ? end : nil
  }

  /// Looks at every page for a header at its start.
  private func scan(_ gaps: [Range<UInt64>]) -> [MappedChunk] {
    var result: [MappedChunk] = []
    for gap in gaps {
      var candidates: [UInt64] = []
      mirror.stream(Address(gap.lowerBound)..<Address(gap.upperBound)) { start, bytes in
        for offset in stride(from: 0, to: bytes.count - 15, by: 4096) {
          let size = bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
          if size % 4096 == GlibcLayout.isMapped { candidates.append(start.rawValue + UInt64(offset)) }
        }
      }
      var end = gap.lowerBound
      for page in candidates where page >= end {
        guard let found = chunk(at: page) else { continue }
        result.append(found)
        end = found.end
      }
    }
    return result
  }
}
