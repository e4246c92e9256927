// Free runs of slices that a heap keeps for its next page or span, so that pages and blocks which come and go take no lock. The
// runs are few, and go back to their regions when the heap looks at the clock.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// `count` slices, from the heap's cache where it has some.
func takeSlices(_ heap: Heap, _ count: Int, alignment: Int = 1) -> SliceRun? {
  if count <= Int(MALLOW_CACHED_SLICES) && alignment == 1 {
    let first = mallow_heap_cached(heap) + count
    if first.pointee != 0 {
      let page = Page(number: first.pointee)
      first.pointee = page.pointee.next
      heap.pointee.cached_slices &-= UInt32(count)
      return SliceRun(of: page)
    }
  }
  return allocateSlices(count, alignment: alignment)
}

/// Gives slices up, to the heap's cache where it has room. Their descriptors must say free already.
/// - Parameter touched: bytes from the run's start that may be resident; the rest was never written.
/// - Returns: whether they went to their region, where they wait to be purged.
func giveUpSlices(_ heap: Heap, _ run: SliceRun, touched: UInt64) -> Bool {
  let isRoom = Int(heap.pointee.cached_slices) &+ run.count <= Int(MALLOW_CACHED_SLICES)
  if !isRoom {
    freeSlices(run, touched: touched)
    return true
  }
  run.markDirty(touched)
  let page = run.page
  page.pointee.start = run.start
  page.pointee.slices = UInt16(run.count)
  let first = mallow_heap_cached(heap) + run.count
  page.pointee.next = first.pointee
  mallow_publish()
  page.pointee.kind = UInt8(MALLOW_PAGE_CACHED)
  first.pointee = page.number
  heap.pointee.cached_slices &+= UInt32(run.count)
  return false
}

/// Gives all runs of the cache back to their regions.
func emptySliceCache(_ heap: Heap) {
  if heap.pointee.cached_slices == 0 { return }
  heap.pointee.cached_slices = 0
  for count in 1...Int(MALLOW_CACHED_SLICES) {
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
