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
      run.addLarge(chunk.block, size: chunk.end - chunk.block, isLive: true, kind: .huge, reserved: 0)
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
  private func anonymousGaps(_ known: [Range<Address>]) -> [Range<UInt64>] {
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

  /// The block whose mapping begins at the page `start`. One that was asked for with an alignment lies further up in it.
  private func chunk(at start: UInt64) -> MappedChunk? {
    if let found = chunk(header: start, mapping: start) { return found }
    for shift in 6..<36 as Range<UInt64> {
      let alignment = UInt64(1) << shift
      let block = (start + 2 * GlibcLayout.headerSize + alignment - 1) & ~(alignment - 1)
      if let found = chunk(header: block - GlibcLayout.headerSize, mapping: start) { return found }
    }
    return nil
  }

  /// The header's first word says how much of the mapping lies before it, its second how much from it on.
  private func chunk(header: UInt64, mapping: UInt64) -> MappedChunk? {
    guard word(header) == header - mapping, let size = word(header + 8), size & GlibcLayout.flags == GlibcLayout.isMapped else { return nil }
    let end = header &+ size &- GlibcLayout.isMapped
    guard end > header, end % 4096 == 0, mirror.isMapped(mapping, end - mapping) else { return nil }
    return MappedChunk(start: mapping, block: header + GlibcLayout.headerSize, end: end)
  }

  /// Looks at every page for a header at its start, or in its last 16 bytes as alignments of a page and more have it.
  private func scan(_ gaps: [Range<UInt64>]) -> [MappedChunk] {
    var result: [MappedChunk] = []
    for gap in gaps {
      var candidates: [UInt64] = []
      mirror.stream(Address(gap.lowerBound)..<Address(gap.upperBound)) { start, bytes in
        for offset in stride(from: 0, to: bytes.count - 4095, by: 4096) {
          if bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self) & 7 == 2
            || bytes.loadUnaligned(fromByteOffset: offset + 4088, as: UInt64.self) & 7 == 2
            || (6..<12).contains(where: { bytes.loadUnaligned(fromByteOffset: offset + 1 << $0 - 8, as: UInt64.self) & 7 == 2 })
          {
            candidates.append(start.rawValue + UInt64(offset))
          }
        }
      }
      var end = gap.lowerBound
      for page in candidates where page >= end {
        let aligned = page + 4096 - GlibcLayout.headerSize
        let before = word(aligned) ?? 0
        let found = chunk(at: page) ?? (before <= aligned - end ? chunk(header: aligned, mapping: aligned - before) : nil)
        guard let found, found.start % 4096 == 0, found.start >= end else { continue }
        result.append(found)
        end = found.end
      }
    }
    return result
  }
}
