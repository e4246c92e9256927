// Step two: malloc's parameters, which say where the main arena's memory begins and how many blocks have mappings of their own.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// What is used of `malloc_par`.
struct MallocParameters {
  /// The first address that the main arena got from the system.
  var base: UInt64
  var mappedCount: Int?
  var mappedBytes: UInt64
  /// Whether the fields that are seldom changed are as glibc sets them.
  var hasDefaults: Bool
}

extension GlibcHeapReader {
  /// The parameters of each main arena's copy of glibc, from the module that the arena is in.
  func findParameters(_ arenas: [ArenaRecord]) -> [MallocParameters] {
    arenas.filter(\.isMain).compactMap { arena in
      guard let module = mirror.mapping(containing: Address(arena.state)) else { return nil }
      // The structure is initialised data too.
      let candidates = mirror.mappings.filter { $0.name == module.name && $0.isReadable && $0.isWritable && !$0.isShared }
      let found = candidates.flatMap(parameters)
      return found.first { $0.hasDefaults } ?? found.first
    }
  }

  /// Looks for the fields `sbrk_base`, `tcache_bins`, `tcache_max_bytes` and `tcache_count`, with the counters in front of them.
  private func parameters(in mapping: Mapping) -> [MallocParameters] {
    var result: [MallocParameters] = []
    mirror.stream(mapping.start..<mapping.end) { start, bytes in
      for offset in stride(from: 0, to: bytes.count - 7, by: 8) {
        guard bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) &- 1 < UInt64(GlibcLayout.threadCacheBins) else { continue }
        if let found = parameters(bins: start.rawValue + UInt64(offset)) { result.append(found) }
      }
    }
    return result
  }

  /// - Parameter address: where `tcache_bins` would be.
  private func parameters(bins address: UInt64) -> MallocParameters? {
    guard let base = word(address - 8), let bins = word(address), let largest = word(address + 8), let count = word(address + 16),
      let most = word(address - 16), let bytes = word(address - 24)
    else { return nil }
    // The number of lists follows from the largest block that they take.
    guard largest <= bins * 16 + 8, bins < 2 || largest > (bins - 1) * 16 - 8, count <= 65535 else { return nil }
    guard bytes <= most, bytes % 4096 == 0, base % 16 == 0, base == 0 || mirror.mapping(containing: Address(base)) != nil else { return nil }
    // Four counters of four bytes lie before; since 2.35 there is one more in front and padding behind.
    for offset in [address - 44, address - 40] {
      guard let now = mirror.load(Address(offset), as: Int32.self), let limit = mirror.load(Address(offset + 4), as: Int32.self),
        let peak = mirror.load(Address(offset + 8), as: Int32.self), now >= 0, now <= peak, limit >= 0,
        (now == 0) == (bytes == 0), (peak == 0) == (most == 0)
      else { continue }
      guard limit == 65536 || peak > 0 else { continue }
      return MallocParameters(base: base, mappedCount: Int(now), mappedBytes: bytes, hasDefaults: bins == 64 && count == 7)
    }
    return MallocParameters(base: base, mappedCount: bytes == 0 ? 0 : nil, mappedBytes: bytes, hasDefaults: false)
  }
}
