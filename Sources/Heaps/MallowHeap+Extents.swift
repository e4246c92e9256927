// Mallow's heap as stretches of memory: runs of live and free blocks in each page, free slices, book-keeping.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

extension MallowHeap: HeapMap {
  public var arenaNames: [String] { ["Mallow"] }

  public func forEachExtent(_ body: (HeapExtent) -> Void) {
    var metadata = metadataRanges[...]
    var pages = heap.pages[...]
    for range in heapRanges {
      var position = range.lowerBound
      // What lies between pages and book-keeping are free slices.
      func advance(to address: Address) {
        if position < address { body(HeapExtent(position, address, .emptyPages)) }
      }
      while position < range.upperBound {
        let nextPage = pages.first.map(\.start) ?? range.upperBound
        let nextRecord = metadata.first?.lowerBound ?? range.upperBound
        guard min(nextPage, nextRecord) < range.upperBound else {
          advance(to: range.upperBound)
          break
        }
        if nextPage <= nextRecord {
          let page = pages.removeFirst()
          // In a damaged heap a page may lie on book-keeping, which comes first.
          guard page.start >= position else { continue }
          advance(to: page.start)
          position = walk(page, body)
        } else {
          let record = metadata.removeFirst()
          guard record.upperBound > position else { continue }
          advance(to: record.lowerBound)
          body(HeapExtent(max(position, record.lowerBound), record.upperBound, .metadata))
          position = record.upperBound
        }
      }
    }
  }

  /// Walks a page and returns its end, that of its last slice.
  private func walk(_ page: HeapPage, _ body: (HeapExtent) -> Void) -> Address {
    let numbers = page.blockNumbers
    let size = page.blockSize
    let freePart = heap.live.count(in: numbers) > 0 ? HeapPart.freeInPages : .emptyPages
    var number = numbers.lowerBound
    while number < numbers.upperBound {
      let end = heap.live.runEnd(from: number, limit: numbers.upperBound)
      let first = page.address(of: number - numbers.lowerBound)
      if !heap.live.contains(number) {
        body(HeapExtent(first, first + UInt64(end - number) * size, freePart, blocks: end - number, blockSize: size))
      } else if page.hasTrailers {
        for block in 0..<UInt64(end - number) {
          let start = first + block * size
          body(HeapExtent(start, start + page.usableSize, .live, blocks: 1, blockSize: size))
          body(HeapExtent(start + page.usableSize, start + size, .metadata))
        }
      } else {
        body(HeapExtent(first, first + UInt64(end - number) * size, .live, blocks: end - number, blockSize: size))
      }
      number = end
    }
    let carved = page.address(of: page.blockCount)
    let sliceSize = UInt64(1) << PageTable.sliceShift
    let length = UInt64(page.capacity) * size
    let end = page.kind == .huge ? page.start + length : page.start + (length + sliceSize - 1) & ~(sliceSize - 1)
    if carved < end { body(HeapExtent(carved, end, freePart)) }
    return end
  }
}
