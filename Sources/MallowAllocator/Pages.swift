// Pages of equal blocks: made from slices, carved little by little so that memory is touched only as it is used, and given
// back when their last block is free.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// A fresh page for `heap`, at the end of its queue; nil where there is no memory.
func makePage(_ heap: Heap, _ sizeClass: Int, trailers: Bool) -> Page? {
  if !trailers, let page = takeCarvedPage(heap, sizeClass) { return page }
  let size = blockSize(ofClass: sizeClass)
  guard let run = takeSlices(heap, slices(ofBlocks: size)) else { return nil }
  let page = run.page
  page.pointee.free = 0
  page.pointee.start = run.start
  page.pointee.multiplier = multiplier(of: size)
  page.pointee.remote_free = 0
  page.pointee.limit = 0
  page.pointee.used = 0
  page.pointee.budget = 0
  page.pointee.carved = 0
  page.pointee.size_class = UInt8(sizeClass)
  markTails(of: page, count: run.count)
  mallow_publish()
  page.pointee.kind = UInt8(MALLOW_PAGE_BLOCKS)
  page.pointee.owner = heap.address | (trailers ? UInt64(MALLOW_OWNER_TRAILER) : 0)
  append(page, to: heap)
  heap.pointee.pages &+= 1
  return page
}

/// floor(2^64 / size) + 1, for ``contains(block:)``.
@inline(__always)
func multiplier(of size: UInt64) -> UInt64 {
  let isPowerOfTwo = size & (size &- 1) == 0
  return UInt64.max / size &+ (isPowerOfTwo ? 2 : 1)
}

/// Lets each later slice of a page of blocks point back to the first.
func markTails(of page: Page, count: Int) {
  for distance in 1..<max(count, 1) {
    let tail = page + distance
    tail.pointee.slices = UInt16(distance)
    tail.pointee.kind = UInt8(MALLOW_PAGE_TAIL)
  }
}

/// Takes a page without a block in use off its queue and gives its slices up.
func releasePage(_ page: Page, of heap: Heap, aged: Bool = false) {
  remove(page, from: heap)
  heap.pointee.pages &-= 1
  page.forgetHollow()
  let run = SliceRun(of: page)
  let touched = page.touched
  let carved = page.pointee.used == 0 && !page.hasTrailers ? page.pointee.carved : 0
  markFree(run, described: run.count)
  if aged {
    freeSlices(run, touched: touched, aged: true)
    expectPurge(heap)
  } else {
    giveUpSlices(heap, run, touched: touched, carved: carved)
  }
}

/// Lets descriptors say that their slices are free.
/// - Parameter described: how many slices of the run have descriptors that said otherwise.
func markFree(_ run: SliceRun, described: Int) {
  let page = run.page
  page.pointee.owner = 0
  page.pointee.limit = 0
  for distance in 0..<described { (page + distance).pointee.kind = UInt8(MALLOW_PAGE_FREE) }
}

extension UnsafeMutablePointer where Pointee == mallow_page {
  /// Blocks that other threads have freed and that are not collected yet.
  @inline(__always)
  var remoteCount: Int { Int(mallow_load(remoteFree) &>> UInt64(MALLOW_REMOTE_COUNT_SHIFT)) }

  /// Bytes from the page's start that were ever handed out.
  @inline(__always)
  var touched: UInt64 { UInt64(pointee.carved) &* blockSize }

  /// Whether no block is in use.
  @inline(__always)
  var isEmpty: Bool { Int(pointee.used) == remoteCount &+ hollowBlocks }
}

/// Makes what other threads have freed the list of a page whose own list is empty.
func collectRemote(_ page: Page) {
  if page.remoteCount == 0 { return }
  let list = mallow_exchange(page.remoteFree, 0)
  page.pointee.free = list & MALLOW_REMOTE_ADDRESS
  page.pointee.used &-= UInt16(truncatingIfNeeded: list &>> UInt64(MALLOW_REMOTE_COUNT_SHIFT))
}

/// Carves the next blocks of a page: as many as fit into one page of the kernel, at least one.
func carve(_ page: Page) {
  let size = page.blockSize
  var count = mallow_state.kernel_page / size
  let left = UInt64(page.capacity &- Int(page.pointee.carved))
  if count == 0 { count = 1 }
  if count > left { count = left }
  let first = page.start &+ UInt64(page.pointee.carved) &* size
  var block = first &+ (count &- 1) &* size
  var next = page.pointee.free
  while true {
    page.markFree(block, next: next)
    next = block
    if block == first { break }
    block &-= size
  }
  page.pointee.free = first
  mallow_publish()
  page.pointee.carved &+= UInt16(count)
  page.pointee.limit &+= count &* (page.pointee.multiplier &* size)
}

/// Releases empty pages.
/// - Parameter pagesPerQueue: how many pages of each queue to look at.
func tidy(_ heap: Heap, pagesPerQueue: Int) {
  revokeGrants(heap)
  takeBackRemotePages(heap)
  tidyQueues(heap, pagesPerQueue: pagesPerQueue, trailers: false)
  tidyQueues(heap, pagesPerQueue: pagesPerQueue, trailers: true)
  emptySliceCache(heap)
}

private func tidyQueues(_ heap: Heap, pagesPerQueue: Int, trailers: Bool) {
  for index in 0..<Int(MALLOW_CLASS_COUNT) {
    guard var page = frontPage(heap, index, trailers: trailers) else { continue }
    let back = Page(number: page.pointee.previous)
    var left = pagesPerQueue
    while true {
      let next = Page(number: page.pointee.next)
      if page.isEmpty { releasePage(page, of: heap, aged: true) }
      left &-= 1
      if page == back || left == 0 { break }
      page = next
    }
  }
}
