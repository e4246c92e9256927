// A heap's totals.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// What a heap holds, in bytes and blocks, and what it has done so far.
public struct HeapStatistics: Hashable, Sendable {
  /// Blocks that the program holds.
  public var live = BlockCount()
  /// Blocks that it has freed and that wait in their pages for the next allocation.
  public var free = BlockCount()
  /// Bytes of free blocks in pages that also hold live ones: fragmentation.
  public var freeInUsedPages: UInt64 = 0
  /// Pages without a live block.
  public var emptyPages = 0
  /// Bytes of free blocks in them.
  public var emptyPageBytes: UInt64 = 0
  public var pages = 0
  /// Bytes of pages that were never handed out, and so never touched.
  public var uncarved: UInt64 = 0
  /// Bytes of free slices that may still be resident: kept for the next allocation.
  public var retained: UInt64 = 0
  /// Bytes that the allocator's book-keeping may take: descriptors, thread heaps, stack table.
  public var metadata: UInt64 = 0
  /// Address space of regions and huge blocks.
  public var mapped: UInt64 = 0
  /// Allocations since the start.
  public var allocations: UInt64 = 0
  /// Frees since the start.
  public var frees: UInt64 = 0
  public var threadHeaps = 0
  /// Stacks that did not fit the stack table.
  public var stacksDropped: UInt64 = 0

  public init() {}

  mutating func addPages(of heap: Heap) {
    pages = heap.pages.count
    for page in heap.pages {
      let liveBlocks = heap.live.count(in: page.blockNumbers)
      let freeBlocks = page.blockCount - liveBlocks
      let freeBytes = UInt64(freeBlocks) &* page.blockSize
      live += BlockCount(blocks: liveBlocks, bytes: UInt64(liveBlocks) &* page.usableSize)
      free += BlockCount(blocks: freeBlocks, bytes: freeBytes)
      uncarved &+= UInt64(page.capacity - page.blockCount) &* page.blockSize
      if liveBlocks == 0 {
        emptyPages += 1
        emptyPageBytes &+= freeBytes
      } else {
        freeInUsedPages &+= freeBytes
      }
    }
  }
}
