// Free runs of slices that a heap keeps for its next page or span, so that pages and blocks which come and go take no lock. The
// runs are few, and go back to their regions when the heap looks at the clock.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// `count` slices, from the heap's cache where it has some: the shortest run that is long enough.
func takeSlices(_ heap: Heap, _ count: Int, alignment: Int = 1) -> SliceRun? {
  if count <= Int(MALLOW_CACHED_LONGEST) && alignment == 1 {
    let lengths = heap.pointee.cached_lengths &>> UInt64(count &- 1)
    if lengths != 0 {
      let length = count &+ lengths.trailingZeroBitCount
      let page = Page(number: mallow_heap_cached(heap)[length])
      let run = SliceRun(of: page)
      takeOut(page, length, from: heap)
      if length > count { putIntoCache(heap, SliceRun(region: run.region, first: run.first &+ count, count: length &- count)) }
      return SliceRun(region: run.region, first: run.first, count: count)
    }
  }
  return allocateSlices(count, alignment: alignment)
}

/// A page of a class from the cache with the list that it had, so that it need not be carved again. It is put on the heap's queue.
func takeCarvedPage(_ heap: Heap, _ sizeClass: Int) -> Page? {
  let size = blockSize(ofClass: sizeClass)
  let length = slices(ofBlocks: size)
  let first = mallow_heap_cached(heap) + length
  if first.pointee == 0 { return nil }
  let page = Page(number: first.pointee)
  let carved = page.pointee.used
  if carved == 0 || page.sizeClass != sizeClass { return nil }
  takeOut(page, length, from: heap)
  page.pointee.remote_free = 0
  page.pointee.used = 0
  page.pointee.budget = 0
  page.pointee.carved = carved
  page.pointee.limit = UInt64(carved) &* (page.pointee.multiplier &* size)
  markTails(of: page, count: length)
  mallow_publish()
  page.pointee.kind = UInt8(MALLOW_PAGE_BLOCKS)
  page.pointee.owner = heap.address
  append(page, to: heap)
  heap.pointee.pages &+= 1
  return page
}

/// Takes the first run of its length out of the cache.
private func takeOut(_ page: Page, _ length: Int, from heap: Heap) {
  let first = mallow_heap_cached(heap) + length
  first.pointee = page.pointee.next
  if first.pointee == 0 { heap.pointee.cached_lengths &= ~(1 &<< UInt64(length &- 1)) }
  page.pointee.kind = UInt8(MALLOW_PAGE_FREE)
  heap.pointee.cached_slices &-= UInt32(length)
}

/// Gives slices up, to the heap's cache where it has room. Their descriptors must say free already.
/// - Parameters:
///   - touched: bytes from the run's start that may be resident; the rest was never written.
///   - carved: how many blocks are on its list, if it was a page of which none is in use.
/// - Returns: the time in milliseconds where they went to their region, to be purged; 0 where they are in the cache.
@discardableResult
func giveUpSlices(_ heap: Heap, _ run: SliceRun, touched: UInt64, carved: UInt16 = 0) -> UInt64 {
  if run.count > Int(MALLOW_CACHED_LONGEST) || Int(heap.pointee.cached_slices) &+ run.count > Int(heap.pointee.cached_limit) {
    let now = freeSlices(run, touched: touched)
    expectPurge(heap, freedAt: now)
    return now
  }
  run.markDirty(touched)
  putIntoCache(heap, run, carved: carved)
  return 0
}

private func putIntoCache(_ heap: Heap, _ run: SliceRun, carved: UInt16 = 0) {
  let page = run.page
  let first = mallow_heap_cached(heap) + run.count
  page.pointee.start = run.start
  page.pointee.slices = UInt16(run.count)
  page.pointee.used = carved
  page.pointee.next = first.pointee
  mallow_publish()
  page.pointee.kind = UInt8(MALLOW_PAGE_CACHED)
  first.pointee = page.number
  heap.pointee.cached_lengths |= 1 &<< UInt64(run.count &- 1)
  heap.pointee.cached_slices &+= UInt32(run.count)
}

/// Lets the running thread keep more, since it met another one at the regions: there they would wait for each other again and again.
func keepMoreSlices() {
  let heap: Heap = mallow_thread_heap
  if !heap.isEmptyHeap { heap.pointee.cached_limit = min(heap.pointee.cached_limit &* 2, UInt32(MALLOW_CACHED_CONTENDED)) }
}

/// Gives all runs of the cache back to their regions.
func emptySliceCache(_ heap: Heap) {
  heap.pointee.cached_limit = max(heap.pointee.cached_limit / 2, UInt32(MALLOW_CACHED_SLICES))
  if heap.pointee.cached_slices == 0 { return }
  heap.pointee.cached_slices = 0
  heap.pointee.cached_lengths = 0
  for count in 1...Int(MALLOW_CACHED_LONGEST) {
    var number = mallow_heap_cached(heap)[count]
    mallow_heap_cached(heap)[count] = 0
    while number != 0 {
      let page = Page(number: number)
      number = page.pointee.next
      let run = SliceRun(of: page)
      page.pointee.kind = UInt8(MALLOW_PAGE_FREE)
      freeSlices(run, touched: 0, aged: true)
    }
  }
  expectPurge(heap)
}
