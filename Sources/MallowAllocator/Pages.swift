// Pages of equal blocks: made from slices, carved little by little so that memory is touched only as it is used, and given
// back when their last block is free.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// A fresh page for `heap`, at the end of its queue; nil where there is no memory.
func makePage(_ heap: Heap, _ sizeClass: Int, trailers: Bool) -> Page? {
  let slices = sliceCount(ofClass: sizeClass)
  guard let run = allocateSlices(slices) else { return nil }
  let page = run.page
  let size = blockSize(ofClass: sizeClass)
  let bytes = UInt64(slices) &<< UInt64(MALLOW_SLICE_SHIFT)
  page.pointee.free = 0
  page.pointee.local_free = 0
  page.pointee.remote_free = 0
  page.pointee.reciprocal = UInt64.max / size &+ 1
  page.pointee.block_size = UInt32(size)
  page.pointee.used = 0
  page.pointee.carved = 0
  page.pointee.capacity = UInt16(bytes / size)
  page.pointee.size_class = UInt8(sizeClass)
  page.pointee.slices = UInt16(slices)
  markTails(run)
  mallow_publish()
  page.pointee.kind = UInt8(MALLOW_PAGE_BLOCKS)
  page.pointee.owner = heap.address | (trailers ? UInt64(MALLOW_OWNER_TRAILER) : 0)
  append(page, to: heap)
  return page
}

/// Lets each later slice of a run point back to the first.
func markTails(_ run: SliceRun) {
  for distance in 1..<max(run.count, 1) {
    let tail = run.page + distance
    tail.pointee.owner = 0
    tail.pointee.slices = UInt16(distance)
    tail.pointee.kind = UInt8(MALLOW_PAGE_TAIL)
  }
}

/// Returns a page's slices. It must be on no queue, with no block in use.
func releasePage(_ page: Page, of heap: Heap, aged: Bool = false) {
  if !page.hasTrailers {
    // Blocks that were handed out to the fast path but never taken were not allocated: nor do they count towards the next sample.
    let untaken = listLength(page)
    mallow_heap_handed_out(heap)[page.sizeClass] &-= UInt64(untaken)
    mallow_heap_until_sample(heap)[page.sizeClass] &+= Int64(untaken) &* Int64(page.pointee.block_size)
  }
  let touched = UInt64(page.pointee.carved) &* UInt64(page.pointee.block_size)
  releaseRun(page, touched: touched, aged: aged)
  expectPurge(heap)
}

/// Marks the slices of a page or span free and returns them.
func releaseRun(_ page: Page, touched: UInt64, aged: Bool = false) {
  let start = page.start
  let region = region(containing: start)
  let run = SliceRun(
    region: region, first: Int((start &- region.pointee.base) &>> UInt64(MALLOW_SLICE_SHIFT)), count: Int(page.pointee.slices))
  for distance in 0..<run.count {
    (page + distance).pointee.owner = 0
    (page + distance).pointee.kind = UInt8(MALLOW_PAGE_FREE)
  }
  page.pointee.slices = 0
  freeSlices(run, touched: touched, aged: aged)
}

/// Blocks on the list that malloc takes from. Bounded by what the page holds, whatever a stray write made of the links.
private func listLength(_ page: Page) -> Int {
  var length = 0
  var block = page.pointee.free
  while block != 0 && length < Int(page.pointee.carved) {
    length &+= 1
    block = nextBlock(block)
  }
  return length
}

/// Releases a page without blocks in use unless it is the last of its queue, which is kept for the next allocation.
func releaseIfSpare(_ page: Page, of heap: Heap) {
  if page.pointee.next == 0 && page.pointee.previous == 0 { return }
  remove(page, from: heap)
  releasePage(page, of: heap)
}

/// Moves what other threads have freed to the page's own list.
func collectRemote(_ page: Page) {
  if mallow_load(page.remoteFree) & ~UInt64(MALLOW_REMOTE_NOTIFY) == 0 { return }
  let head = mallow_exchange(page.remoteFree, 0) & ~UInt64(MALLOW_REMOTE_NOTIFY)
  var count: UInt32 = 1
  var last = head
  while true {
    let next = nextBlock(last)
    if next == 0 { break }
    if next & ~(regionSize &- 1) != head & ~(regionSize &- 1) || count > UInt32(page.pointee.carved) {
      reportCorruption(last, "the list of free blocks was overwritten after a free")
    }
    last = next
    count &+= 1
  }
  setNextBlock(last, page.pointee.local_free)
  mallow_publish()
  page.pointee.local_free = head
  page.pointee.used &-= count
}

/// Carves the next blocks of a page: as many as fit into one page of the kernel, at least one.
func carve(_ page: Page) {
  let size = UInt64(page.pointee.block_size)
  var count = mallow_state.kernel_page / size
  let left = UInt64(page.pointee.capacity &- page.pointee.carved)
  if count == 0 { count = 1 }
  if count > left { count = left }
  let first = page.start &+ UInt64(page.pointee.carved) &* size
  var block = first &+ (count &- 1) &* size
  var next = page.pointee.local_free
  while true {
    markFree(block, next: next)
    next = block
    if block == first { break }
    block &-= size
  }
  page.pointee.local_free = first
  mallow_publish()
  page.pointee.carved &+= UInt16(count)
}

/// Releases empty pages and collects remote frees.
/// - Parameter pagesPerQueue: how many pages of each queue to look at.
func tidy(_ heap: Heap, pagesPerQueue: Int) {
  takeBackRemotePages(heap)
  tidyQueues(heap, pagesPerQueue: pagesPerQueue, trailers: false)
  tidyQueues(heap, pagesPerQueue: pagesPerQueue, trailers: true)
}

private func tidyQueues(_ heap: Heap, pagesPerQueue: Int, trailers: Bool) {
  for index in 0..<Int(MALLOW_CLASS_COUNT) {
    var number = mallow_heap_first(heap, trailers)[index]
    var left = pagesPerQueue
    while number != 0 && left > 0 {
      let page = Page(number: number)
      number = page.pointee.next
      left &-= 1
      collectRemote(page)
      if page.pointee.used == 0 {
        remove(page, from: heap)
        releasePage(page, of: heap, aged: true)
      }
    }
  }
}
