// A pass over the memory of all live blocks.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// The live blocks of a heap with their memory, in address order. Pages without a live block are not read.
struct LiveMemory {
  private let heap: Heap

  init(_ heap: Heap) { self.heap = heap }

  /// Calls `body` for each live block, with its address, its usable size and the window that shows its memory.
  @inline(__always)
  func forEachBlock(_ body: (_ address: UInt64, _ size: UInt64, _ window: MemoryWindow) -> Void) {
    let window = MemoryWindow(heap.mirror)
    var end = Address(0)
    for index in heap.pages.indices {
      let page = heap.pages[index]
      guard heap.live.count(in: page.blockNumbers) > 0 else { continue }
      if page.start >= end {
        end = runEnd(index)
        window.move(to: page.start..<end)
      }
      let start = page.start.rawValue
      let isChunks = page.kind == .chunks
      heap.live.forEach(in: page.blockNumbers) { number in
        let place = number - page.firstBlock
        let size = isChunks ? heap.usableSize(of: BlockIndex(page: index, index: place)) : page.usableSize
        body(start + UInt64(place) &* page.blockSize, size, window)
      }
    }
  }

  /// The end of the stretch of memory that begins with a page and is followed by others with live blocks without a gap.
  private func runEnd(_ first: Int) -> Address {
    var end = heap.pages[first].end
    for page in heap.pages[(first + 1)...] where page.blockCount > 0 {
      guard page.start == end, heap.live.count(in: page.blockNumbers) > 0 else { break }
      end = page.end
    }
    return end
  }
}
