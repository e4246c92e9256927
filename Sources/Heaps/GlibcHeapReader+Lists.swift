// Step five: which blocks that look held are free all the same, since a thread's cache or a fast list keeps them.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// The heap after its lists were walked.
struct FreeLists {
  var heap: Heap
  var threadCached: BitSet
  var fastbins: BitSet
  /// Blocks that are malloc's own.
  var metadata: Set<Int> = []
  /// Whether links are stored disguised; nil where no list tells.
  var isProtected: Bool?

  func kind(of number: Int) -> GlibcHeap.FreeKind? {
    if heap.live.contains(number) { return nil }
    if threadCached.contains(number) { return .threadCache }
    if fastbins.contains(number) { return .fastbin }
    return metadata.contains(number) ? .metadata : .bin
  }
}

/// A free list that is linked in its blocks' memory.
private struct FreeList {
  /// The first block.
  var head: UInt64
  /// The size of its chunks.
  var chunkSize: UInt64
  /// The most blocks that it may have.
  var limit: Int
  /// What its links lack to a block's address: fast lists link headers.
  var linkOffset: UInt64
  var isThreads: Bool
}

extension GlibcHeapReader {
  mutating func readLists(_ arenas: [ArenaRecord], _ heap: Heap) -> FreeLists {
    let (caches, cacheLists) = readThreadCaches(heap)
    let lists = cacheLists + fastbins(arenas)
    var live = heap.live
    var result = FreeLists(
      heap: heap, threadCached: BitSet(capacity: heap.numberLimit), fastbins: BitSet(capacity: heap.numberLimit),
      isProtected: isProtected(lists, heap))
    for list in lists {
      walk(list, heap, isProtected: result.isProtected ?? true) { number in
        guard live.remove(number) else { return false }
        if list.isThreads { result.threadCached.insert(number) } else { result.fastbins.insert(number) }
        return true
      }
    }
    for cache in caches { if live.remove(cache) { result.metadata.insert(cache) } }
    result.heap = Heap(pages: heap.pages, live: live, mirror: mirror, table: heap.table, chunks: heap.chunks)
    return result
  }

  private func fastbins(_ arenas: [ArenaRecord]) -> [FreeList] {
    arenas.flatMap { arena in
      (0..<Int(GlibcLayout.fastbinCount)).compactMap { index in
        guard let head = word(arena.fastbins + UInt64(index) * 8), head != 0 else { return nil }
        return FreeList(
          head: head &+ GlibcLayout.headerSize, chunkSize: GlibcLayout.chunkSize(ofList: index), limit: .max,
          linkOffset: GlibcLayout.headerSize, isThreads: false)
      }
    }
  }

  /// The number of the block at `address` if its chunk has that size.
  private func block(_ address: UInt64, _ chunkSize: UInt64, _ heap: Heap) -> Int? {
    guard address & 15 == 0, let block = heap.block(containing: Address(address)), heap.address(of: block).rawValue == address,
      heap.usableSize(of: block) + 8 == chunkSize
    else { return nil }
    return heap.number(of: block)
  }

  /// A list's last block tells whether links are disguised: its link is 0, or the address's upper bits.
  private func isProtected(_ lists: [FreeList], _ heap: Heap) -> Bool? {
    var votes = 0
    for list in lists.prefix(4096) {
      guard block(list.head, list.chunkSize, heap) != nil, let link = word(list.head) else { continue }
      func isLink(_ value: UInt64) -> Bool { value == 0 || block(value &+ list.linkOffset, list.chunkSize, heap) != nil }
      votes += (isLink(link ^ list.head >> 12) ? 1 : 0) - (isLink(link) ? 1 : 0)
    }
    return votes == 0 ? nil : votes > 0
  }

  /// Calls `body` with each block's number until it returns false, the list ends or makes no sense.
  private mutating func walk(_ list: FreeList, _ heap: Heap, isProtected: Bool, _ body: (Int) -> Bool) {
    let name = list.isThreads ? "a thread's cache" : "a fast list"
    var address = list.head
    var count = 0
    while count < list.limit {
      guard let number = block(address, list.chunkSize, heap), let link = word(address) else {
        log.note(.freeList, Address(address), "\(name) of chunks of \(list.chunkSize) bytes leads to \(Address(address)), which is none")
        return
      }
      guard body(number) else {
        log.note(.freeList, Address(address), "\(name) holds the block \(Address(address)), which is free already: it was freed twice, or the list is a loop")
        return
      }
      let next = isProtected ? link ^ address >> 12 : link
      if next == 0 { return }
      address = next &+ list.linkOffset
      count += 1
    }
  }

  /// The records of threads' caches, by number, and their lists.
  private func readThreadCaches(_ heap: Heap) -> ([Int], [FreeList]) {
    var caches: [UInt64] = []
    var lists: [FreeList] = []
    for address in threadCaches {
      guard let size = heap.block(containing: Address(address)).map({ heap.usableSize(of: $0) + 8 }) else { continue }
      let counterSize = size == GlibcLayout.threadCacheChunk(counterSize: 2) ? 2 : 1
      if let found = cacheLists(address, counterSize, heap), !found.isEmpty {
        caches.append(address)
        lists += found
      }
    }
    for address in emptyCaches(caches) where !caches.contains(address) { caches.append(address) }
    return (caches.compactMap { heap.block(containing: Address($0)).map(heap.number(of:)) }, lists)
  }

  /// The lists of a record, or nil where the block at `address` is none.
  private func cacheLists(_ address: UInt64, _ counterSize: Int, _ heap: Heap) -> [FreeList]? {
    let bins = GlibcLayout.threadCacheBins
    var lists: [FreeList] = []
    // One list may be in motion where the thread was stopped inside malloc.
    var wrong = 0
    for index in 0..<bins {
      guard let head = word(address + UInt64(bins * counterSize + index * 8)) else { return nil }
      let counter = Address(address + UInt64(index * counterSize))
      let count = counterSize == 2 ? mirror.load(counter, as: UInt16.self).map(Int.init) : mirror.load(counter, as: UInt8.self).map(Int.init)
      guard let count else { return nil }
      if head == 0 && count == 0 { continue }
      let size = GlibcLayout.chunkSize(ofList: index)
      if head == 0 || count == 0 || block(head, size, heap) == nil {
        wrong += 1
        if wrong > 1 { return nil }
        continue
      }
      lists.append(FreeList(head: head, chunkSize: size, limit: count, linkOffset: 0, isThreads: true))
    }
    return lists
  }

  /// Records without lists can't be told by their contents. But all threads have the pointer to theirs at the same distance
  /// from the thread pointer, and where one is known, so are the others.
  private func emptyCaches(_ known: [UInt64]) -> [UInt64] {
    let candidates = Set(threadCaches)
    let threads = mirror.image.threads.map(\.threadPointer.rawValue).filter { $0 & 7 == 0 && $0 > Self.threadLocalLimit }
    // The first block of an arena is as a rule the record of the thread that it was made for.
    let first = known.isEmpty ? threadCaches.filter { arenaStarts.contains($0 - GlibcLayout.headerSize) } : known
    for thread in threads {
      for distance in stride(from: UInt64(8), through: Self.threadLocalLimit, by: 8) {
        guard let value = word(thread - distance), first.contains(value) else { continue }
        let values = threads.compactMap { word($0 - distance) }
        if values.allSatisfy({ $0 == 0 || candidates.contains($0) }) { return values.filter { $0 != 0 } }
      }
    }
    return []
  }

  /// Bytes of thread-local variables that are searched.
  private static let threadLocalLimit: UInt64 = 16384
}
