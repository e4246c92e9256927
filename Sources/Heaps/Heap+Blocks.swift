// The blocks of a heap one by one, in address order.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import ProcessImage

extension Heap {
  /// All that is known of a block. Reads its trailer, if its page has them.
  public func describe(_ index: BlockIndex) -> Block {
    let page = pages[Int(index.page)]
    let start = page.address(of: Int(index.index))
    let size = usableSize(of: index)
    var record = page.record
    let isLive = isLive(index)
    // The trailer of a free block may tell of an earlier use.
    if isLive, page.hasTrailers, let trailer = mirror.load(start + size, as: mallow_trailer.self) {
      record.stack = trailer.stack
      record.milliseconds = trailer.milliseconds
      record.requested = trailer.requested <= size ? trailer.requested : 0
    }
    return Block(
      start: start, size: size, requested: isLive && record.requested > 0 ? record.requested : nil,
      state: isLive ? .live : .free, kind: page.kind, sizeClass: page.sizeClass,
      stack: isLive && record.stack != 0 ? StackID(record.stack) : nil,
      milliseconds: isLive && record.stack != 0 ? record.milliseconds : nil, index: index)
  }

  /// Every block, live and free, in address order.
  public var blocks: some Sequence<Block> {
    pages.indices.lazy.flatMap { page in
      (0..<pages[page].blockCount).lazy.filter { isBlock($0, on: page) }.map { describe(BlockIndex(page: page, index: $0)) }
    }
  }

  /// Calls `body` for every free block in address order.
  public func forEachFreeBlock(_ body: (BlockIndex) -> Void) {
    for page in pages.indices {
      let first = pages[page].firstBlock
      if pages[page].kind == .chunks {
        chunks.starts.forEach(in: pages[page].blockNumbers) { if !live.contains($0) { body(BlockIndex(page: page, index: $0 - first)) } }
      } else {
        for number in pages[page].blockNumbers where !live.contains(number) { body(BlockIndex(page: page, index: number - first)) }
      }
    }
  }

  private func isBlock(_ index: Int, on page: Int) -> Bool {
    pages[page].kind != .chunks || chunks.starts.contains(pages[page].firstBlock + index)
  }

  /// Calls `body` for every live block in address order, without reading its trailer.
  public func forEachLiveBlock(_ body: (BlockIndex) -> Void) {
    forEachBlock(in: live, body)
  }

  /// Calls `body` for every block whose number is in `numbers`, in address order.
  public func forEachBlock(in numbers: BitSet, _ body: (BlockIndex) -> Void) {
    for page in pages.indices {
      let first = pages[page].firstBlock
      numbers.forEach(in: pages[page].blockNumbers) { body(BlockIndex(page: page, index: $0 - first)) }
    }
  }
}
