// Blocks counted by size.
// SPDX-License-Identifier: Apache-2.0

extension Heap {
  /// How many live and how many free blocks there are of each usable size on each page; a size may come several times.
  public var sizeCounts: [(size: UInt64, isLive: Bool, count: Int)] {
    var result: [(UInt64, Bool, Int)] = []
    for page in pages.indices where pages[page].kind != .chunks {
      let live = self.live.count(in: pages[page].blockNumbers)
      if live > 0 { result.append((pages[page].usableSize, true, live)) }
      if live < pages[page].blockCount { result.append((pages[page].usableSize, false, pages[page].blockCount - live)) }
    }
    var chunks: [UInt64: (live: Int, free: Int)] = [:]
    for page in pages.indices where pages[page].kind == .chunks {
      forEachBlock(in: self.chunks.starts, page: page) { block in
        let size = usableSize(of: block)
        if isLive(block) { chunks[size, default: (0, 0)].live += 1 } else { chunks[size, default: (0, 0)].free += 1 }
      }
    }
    for (size, count) in chunks {
      if count.live > 0 { result.append((size, true, count.live)) }
      if count.free > 0 { result.append((size, false, count.free)) }
    }
    return result
  }

  private func forEachBlock(in numbers: BitSet, page: Int, _ body: (BlockIndex) -> Void) {
    let first = pages[page].firstBlock
    numbers.forEach(in: pages[page].blockNumbers) { body(BlockIndex(page: page, index: $0 - first)) }
  }
}
