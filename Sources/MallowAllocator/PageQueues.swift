// A heap's queues: for each size class the pages that may have a free block, with the page to allocate from in front.
// Full pages are on no queue; the first block freed into one brings it back.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// The page in front of a queue.
@inline(__always)
func frontPage(_ heap: Heap, _ sizeClass: Int, trailers: Bool) -> Page? {
  let number = mallow_heap_first(heap, trailers)[sizeClass]
  return number == 0 ? nil : Page(number: number)
}

/// Puts a page of the queue in front of it.
func moveToFront(_ page: Page, of heap: Heap) {
  remove(page, from: heap)
  let first = mallow_heap_first(heap, page.hasTrailers) + page.sizeClass
  page.pointee.next = first.pointee
  if first.pointee == 0 { mallow_heap_last(heap, page.hasTrailers)[page.sizeClass] = page.number } else { Page(number: first.pointee).pointee.previous = page.number }
  first.pointee = page.number
}

func append(_ page: Page, to heap: Heap) {
  let first = mallow_heap_first(heap, page.hasTrailers)
  let last = mallow_heap_last(heap, page.hasTrailers)
  let index = page.sizeClass
  page.pointee.next = 0
  page.pointee.previous = last[index]
  if last[index] == 0 { first[index] = page.number } else { Page(number: last[index]).pointee.next = page.number }
  last[index] = page.number
}

func remove(_ page: Page, from heap: Heap) {
  let first = mallow_heap_first(heap, page.hasTrailers)
  let last = mallow_heap_last(heap, page.hasTrailers)
  let index = page.sizeClass
  if mallow_heap_current(heap)[index] == page.address { setCurrent(heap, index, heap.noPage) }
  if page.pointee.next == 0 { last[index] = page.pointee.previous } else { Page(number: page.pointee.next).pointee.previous = page.pointee.previous }
  if page.pointee.previous == 0 { first[index] = page.pointee.next } else { Page(number: page.pointee.previous).pointee.next = page.pointee.next }
  page.pointee.next = 0
  page.pointee.previous = 0
}

/// Makes `page` the one that the running thread, whose heap this is, takes blocks of this class from.
func setCurrent(_ heap: Heap, _ sizeClass: Int, _ page: Page) {
  let current = mallow_heap_current(heap)
  if current[sizeClass] == page.address { return }
  revokeGrant(Page(at: current[sizeClass]), of: heap)
  current[sizeClass] = page.address
  let block = blockSize(ofClass: sizeClass)
  if block > directLimit { return }
  // All sizes of this class: those above the next smaller class's blocks.
  let smaller = sizeClass == 0 ? 0 : blockSize(ofClass: sizeClass &- 1) &+ 16
  var index = Int(smaller / 16)
  while index <= Int(block / 16) {
    mallow_direct()[index] = page.address
    index &+= 1
  }
}

/// Takes a page that has no free block off its queue. Other threads' next free puts it on the heap's list of pages to look at.
/// - Returns: false where another thread has freed into it meanwhile: it stays, at the end.
func markFull(_ page: Page, of heap: Heap) -> Bool {
  // Off the queue first: once the mark is there, `next` belongs to whoever frees into the page.
  remove(page, from: heap)
  page.pointee.owner |= UInt64(MALLOW_OWNER_FULL)
  var none: UInt64 = 0
  if mallow_compare_exchange(page.remoteFree, &none, UInt64(MALLOW_REMOTE_NOTIFY)) { return true }
  page.pointee.owner &= ~UInt64(MALLOW_OWNER_FULL)
  append(page, to: heap)
  return false
}

/// Puts a full page back on its queue after a free by its owner.
/// - Returns: false where another thread is about to put it on the list of pages to look at: it comes back from there.
func markNotFull(_ page: Page, of heap: Heap) -> Bool {
  var expected = UInt64(MALLOW_REMOTE_NOTIFY)
  guard mallow_compare_exchange(page.remoteFree, &expected, 0) else { return false }
  page.pointee.owner &= ~UInt64(MALLOW_OWNER_FULL)
  append(page, to: heap)
  return true
}

/// Brings back the full pages that other threads have freed into.
func takeBackRemotePages(_ heap: Heap) {
  if mallow_load(mallow_heap_remote_pages(heap)) == 0 { return }
  var number = UInt32(truncatingIfNeeded: mallow_exchange(mallow_heap_remote_pages(heap), 0))
  while number != 0 {
    let page = Page(number: number)
    number = page.pointee.next
    page.pointee.owner &= ~UInt64(MALLOW_OWNER_FULL)
    append(page, to: heap)
    if page.isEmpty { releaseIfSpare(page, of: heap) }
  }
}
