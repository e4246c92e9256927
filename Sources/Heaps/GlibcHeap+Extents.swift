// glibc's heap as stretches of memory: chunks with their headers, tops, and what arenas keep for themselves.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

extension GlibcHeap: HeapMap {
  /// The arenas in their order, and chunks with mappings of their own.
  public var arenaNames: [String] {
    arenas.indices.map { arenas[$0].isMain ? "main arena" : "arena \($0)" } + ["mmapped chunks"]
  }

  public func forEachExtent(_ body: (HeapExtent) -> Void) {
    // Who memory belongs to, in address order. An arena's record may lie in its own memory.
    let owned = arenas.indices.flatMap { arena in (arenas[arena].ranges + [arenas[arena].state]).map { ($0, arena) } }
    let owners = (owned + mappedChunks.map { ($0, arenas.count) }).sorted { $0.0.lowerBound < $1.0.lowerBound }
    var tops = arenas.map(\.top).filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }[...]
    var page = 0
    var position = Address(0)
    for (range, arena) in owners {
      position = max(position, range.lowerBound)
      // What is neither a block nor a top is malloc's own: headers, records, what alignment left over.
      func emit(_ start: Address, _ end: Address, _ part: HeapPart, blocks: Int = 0, blockSize: UInt64 = 0) {
        // The last block before memory that is not the arena's reaches into its first word.
        let end = min(end, range.upperBound)
        guard position <= start, start < end else { return }
        if position < start { body(HeapExtent(position, start, .metadata, arena: arena)) }
        body(HeapExtent(start, end, part, blocks: blocks, blockSize: blockSize, arena: arena))
        position = end
      }
      while position < range.upperBound {
        while page < heap.pages.count, heap.pages[page].start < position { page += 1 }
        while let top = tops.first, top.upperBound <= position { tops.removeFirst() }
        let nextPage = page < heap.pages.count ? heap.pages[page].start : range.upperBound
        // The last block reaches into the first word of the top.
        let nextTop = tops.first.map { max(position, $0.lowerBound) } ?? range.upperBound
        guard min(nextPage, nextTop) < range.upperBound else { break }
        if nextTop <= nextPage {
          emit(nextTop, min(tops[tops.startIndex].upperBound, range.upperBound), .top)
        } else {
          walk(page, emit)
          page += 1
        }
      }
      if position < range.upperBound { body(HeapExtent(position, range.upperBound, .metadata, arena: arena)) }
      position = max(position, range.upperBound)
    }
  }

  /// Calls `emit` for each block of a page.
  private func walk(_ number: Int, _ emit: (Address, Address, HeapPart, Int, UInt64) -> Void) {
    let page = heap.pages[number]
    func add(_ block: BlockIndex, _ start: Address, _ usable: UInt64) {
      let part = part(of: block)
      emit(start, start + usable, part, part == .metadata ? 0 : 1, part == .metadata ? 0 : usable + 8)
    }
    guard page.kind == .chunks else { return add(BlockIndex(page: number, index: 0), page.start, page.usableSize) }
    let end = page.firstBlock + page.blockCount
    var start = page.firstBlock
    while start < end {
      let next = heap.chunks.start(after: start, end: end)
      let index = start - page.firstBlock
      add(BlockIndex(page: number, index: index), page.address(of: index), UInt64(next - start) << 4 - 8)
      start = next
    }
  }

  private func part(of block: BlockIndex) -> HeapPart {
    switch freeKind(of: block) {
    case nil: .live
    case .threadCache: .tcache
    case .fastbin: .fastbins
    case .bin: .bins
    case .metadata: .metadata
    }
  }
}
