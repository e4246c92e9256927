// Which memory is glibc's malloc's own, without walking over its blocks: this takes no stop of the target.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

extension GlibcHeap {
  /// Where there are more mappings, blocks with mappings of their own are not looked for.
  private static let mappingLimit = 20_000

  /// The memory of glibc's malloc: the main arena up to its top, the heaps of other arenas, and most blocks with mappings of their own.
  /// Empty where there is none, or nothing was ever allocated from it.
  public static func memory(_ mirror: MemoryMirror) -> [AllocatorMemory] {
    var reader = GlibcHeapReader(mirror)
    let arenas = reader.findArenas()
    guard !arenas.isEmpty else { return [] }
    let parameters = reader.findParameters(arenas)
    var memory: [AllocatorMemory] = []
    for arena in arenas {
      if arena.isMain {
        // It is in one piece unless the program break could not be moved.
        guard let size = reader.word(arena.top + 8), let mapping = mirror.mapping(containing: Address(arena.top)),
          let base = parameters.map(\.base).first(where: { mapping.contains(Address($0)) && $0 < arena.top })
        else { continue }
        let end = min(Address(arena.top) + (size & ~GlibcLayout.flags), mapping.end)
        if Address(base) < end { memory.append(AllocatorMemory(Address(base)..<end, name: "glibc's main arena")) }
      } else {
        memory += reader.heaps(of: arena).map { AllocatorMemory($0, name: "glibc's arena") }
      }
    }
    let counts = parameters.compactMap(\.mappedCount)
    if counts.contains(where: { $0 > 0 }) || counts.count < parameters.count, mirror.mappings.count <= mappingLimit {
      let known = memory.map(\.range).merged()
      memory += reader.chunksAtStarts(of: reader.anonymousGaps(known)).map { AllocatorMemory($0, name: "glibc's mapped block") }
    }
    return memory
  }
}

extension GlibcHeapReader {
  /// The heaps of an arena that is not the main one, from that with the top back to the first.
  fileprivate func heaps(of arena: ArenaRecord) -> [Range<Address>] {
    guard let alignment = GlibcLayout.heapAlignments.first(where: { word(arena.top & ~($0 - 1)) == arena.state }) else { return [] }
    var ranges: [Range<Address>] = []
    var heap = arena.top & ~(alignment - 1)
    var loop = LoopDetector()
    while heap != 0, !loop.isRepeated(heap), heap & (alignment - 1) == 0, word(heap) == arena.state,
      let previous = word(heap + GlibcLayout.heapPrevious), let size = word(heap + GlibcLayout.heapSize), size > 0, size <= alignment,
      mirror.isMapped(heap, size)
    {
      ranges.append(Address(heap)..<Address(heap) + size)
      heap = previous
    }
    return ranges
  }
}
