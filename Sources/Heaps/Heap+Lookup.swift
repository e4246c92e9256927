// Looking up many addresses at once: the records of a large heap fit no cache, so each step asks for what the next one needs.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import ProcessImage

extension Heap {
  /// Asks the processor to fetch the record of the page at an address.
  public func prefetchPage(at address: UInt64) {
    guard let page = table.page(of: address) else { return }
    pages.withUnsafeBufferPointer {
      let record = UnsafeRawPointer($0.baseAddress! + page)
      mallow_prefetch(record)
      mallow_prefetch(record + 64)
    }
  }

  /// The number of the block that starts at an address, if one does: on a page of chunks not every number is a block's. Nil where none can.
  public func number(ofBlockAt address: UInt64) -> Int? {
    guard var page = table.page(of: address) else { return nil }
    if pages[page].reciprocal == 0 {
      while address >= pages[page].end.rawValue {
        page += 1
        if page == pages.count { return nil }
      }
    }
    let (start, first) = (pages[page].start.rawValue, pages[page].firstBlock)
    guard address >= start else { return nil }
    let offset = address - start
    switch pages[page].kind {
    case .blocks:
      guard let index = pages[page].index(of: address), UInt64(index) &* pages[page].blockSize == offset else { return nil }
      return first + index
    case .chunks: return offset & 15 == 0 ? first + Int(truncatingIfNeeded: offset >> 4) : nil
    default: return offset == 0 ? first : nil
    }
  }
}
