// Step one: the arenas. The main one is found in the writable data of some module by its bins, the others lead to each other.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// A `malloc_state` that has passed all checks.
struct ArenaRecord {
  let state: UInt64
  let bins: UInt64
  /// Whether it lies in a module's data and not in a heap of its own.
  var isMain: Bool
  /// The chunk that new memory is cut from.
  var top: UInt64 = 0
  var systemMemory: UInt64 = 0

  var fastbins: UInt64 { bins - GlibcLayout.fastbinsBeforeBins }
  /// An arena that has no memory yet takes the start of its bins for its top.
  var initialTop: UInt64 { bins - GlibcLayout.headerSize }
  var end: UInt64 { bins + GlibcLayout.endAfterBins }
}

extension GlibcHeapReader {
  /// All arenas, each main one followed by the others of its ring. A program with several copies of glibc has several main ones.
  mutating func findArenas() -> [ArenaRecord] {
    var found: [ArenaRecord] = []
    for mapping in mirror.mappings where Self.mayHoldMainArena(mapping) {
      for bins in emptyBins(in: mapping) {
        if found.contains(where: { $0.bins <= bins && bins < $0.end }) { continue }
        if let ring = ring(withBin: bins), !found.contains(where: { $0.state == ring[0].state }) { found += ring }
      }
    }
    return found
  }

  /// A main arena that nothing was ever allocated from, as glibc's file has it: alone in its ring, attached to one thread, and
  /// with bins that are not set up.
  func findUnusedArena() -> ArenaRecord? {
    for mapping in mirror.mappings where Self.mayHoldMainArena(mapping) {
      var found: ArenaRecord?
      mirror.stream(mapping.start..<mapping.end) { start, bytes in
        for offset in stride(from: 0, to: bytes.count - 23, by: 8) {
          let distance = start.rawValue &+ UInt64(offset) &- bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
          for before in GlibcLayout.startsBeforeBins where distance == before + GlibcLayout.nextAfterBins {
            let bins = start.rawValue + UInt64(offset) - GlibcLayout.nextAfterBins
            guard bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self) == 0,
              bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self) == 1,
              (0..<GlibcLayout.binCount * 2).allSatisfy({ word(bins + $0 * 8) == 0 })
            else { continue }
            found = ArenaRecord(state: bins - before, bins: bins, isMain: true, top: bins - GlibcLayout.headerSize)
          }
        }
      }
      if let found { return found }
    }
    return nil
  }

  /// It is initialised data, so its memory is mapped from the module's file.
  private static func mayHoldMainArena(_ mapping: Mapping) -> Bool {
    mapping.isReadable && mapping.isWritable && !mapping.isShared && mapping.name.hasPrefix("/") && !mapping.name.hasPrefix("/dev/")
  }

  /// Pairs of words that point to themselves as an empty bin does: both to 16 bytes before the pair.
  private func emptyBins(in mapping: Mapping) -> [UInt64] {
    var result: [UInt64] = []
    mirror.stream(mapping.start..<mapping.end) { start, bytes in
      var offset = Int((8 - start.rawValue % 8) % 8)
      while offset + 16 <= bytes.count {
        let expected = start.rawValue &+ UInt64(offset) &- 16
        if bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) == expected,
          bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self) == expected
        {
          result.append(expected &+ 16)
        }
        offset += 8
      }
    }
    return result
  }

  /// The main arena that has an empty bin at `bin`, and the arenas that it leads to.
  private mutating func ring(withBin bin: UInt64) -> [ArenaRecord]? {
    // Sixteen bytes off, all bins but one would look right too: a ring that comes back to its first arena is preferred.
    for mayBeDamaged in [false, true] {
      for index in 0..<GlibcLayout.binCount where bin > index * 16 {
        let bins = bin - index * 16
        guard wrongBins(bins) <= (mayBeDamaged ? 0 : Self.binsInMotion) else { continue }
        for before in GlibcLayout.startsBeforeBins where bins > before {
          if let ring = ring(from: bins, before: before, mayBeDamaged: mayBeDamaged) { return ring }
        }
      }
    }
    return nil
  }

  /// Bins that contradict themselves while a thread is stopped inside malloc.
  private static let binsInMotion = 1

  /// How many of the 127 bins that would start at `bins` are none; not all are counted.
  private func wrongBins(_ bins: UInt64) -> Int {
    var wrong = 0
    for index in 0..<GlibcLayout.binCount where !isBin(bins &+ index * 16) {
      wrong += 1
      if wrong > Self.binsInMotion { break }
    }
    return wrong
  }

  private func isBin(_ bin: UInt64) -> Bool {
    guard let first = word(bin), let last = word(bin &+ 8) else { return false }
    let own = bin &- 16
    if first == own { return last == own }
    return word(first &+ 24) == own && word(last &+ 16) == own
  }

  /// Follows the arenas from the main one back to itself; nil where that fails.
  private mutating func ring(from mainBins: UInt64, before: UInt64, mayBeDamaged: Bool) -> [ArenaRecord]? {
    let main = mainBins - before
    var arenas: [ArenaRecord] = []
    var state = main
    var loop = LoopDetector()
    repeat {
      let bins = state &+ before
      guard state & 7 == 0, !loop.isRepeated(state), let next = word(bins &+ GlibcLayout.nextAfterBins),
        let top = word(bins &- GlibcLayout.topBeforeBins), let memory = word(bins &+ GlibcLayout.systemMemoryAfterBins),
        wrongBins(bins) <= Self.binsInMotion
      else {
        guard mayBeDamaged, !arenas.isEmpty else { return nil }
        log.note(.arena, Address(state), "the ring of arenas leads to \(Address(state)), which is none: those after it are left out")
        return arenas
      }
      arenas.append(ArenaRecord(state: state, bins: bins, isMain: arenas.isEmpty, top: top, systemMemory: memory))
      state = next
    } while state != main
    return arenas
  }
}
