// A heap's queues: for each size class a ring of the pages that may have a free block, with the page to allocate from in front.
// A page without a free block goes to the back, by moving the front on; where it has none when its turn comes again, it leaves the
// queue, and the first block freed into it brings it back.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// The page in front of a queue.
@inline(__always)
func frontPage(_ heap: Heap, _ sizeClass: Int, trailers: Bool) -> Page? {
  let number = mallow_heap_first(heap, trailers)[sizeClass]
  return number == 0 ? nil : Page(number: number)
}

extension UnsafeMutablePointer where Pointee == mallow_page {
  /// Whether no other page is on the queue that this one is on.
  @inline(__always)
  var isAlone: Bool { pointee.next == number }
}

/// Puts a page at the back of its queue.
func append(_ page: Page, to heap: Heap) {
  let first = mallow_heap_first(heap, page.hasTrailers) + page.sizeClass
  let number = page.number
  if first.pointee == 0 {
    page.pointee.next = number
    page.pointee.previous = number
    first.pointee = number
    return
  }
  let front = Page(number: first.pointee)
  page.pointee.next = first.pointee
  page.pointee.previous = front.pointee.previous
  Page(number: front.pointee.previous).pointee.next = number
  front.pointee.previous = number
}

/// Puts a page of the queue in front of it.
func moveToFront(_ page: Page, of heap: Heap) {
  remove(page, from: heap)
  append(page, to: heap)
  mallow_heap_first(heap, page.hasTrailers)[page.sizeClass] = page.number
}

/// Puts the front page of a queue at its back.
@inline(__always)
func moveToBack(_ front: Page, of heap: Heap) {
  mallow_heap_first(heap, front.hasTrailers)[front.sizeClass] = front.pointee.next
}

func remove(_ page: Page, from heap: Heap) {
  let index = page.sizeClass
  let first = mallow_heap_first(heap, page.hasTrailers) + index
  if mallow_heap_current(heap)[index] == page.address { setCurrent(heap, index, heap.noPage) }
  takeBack(page, lentBy: heap)
  if page.isAlone {
    first.pointee = 0
  } else {
    Page(number: page.pointee.next).pointee.previous = page.pointee.previous
    Page(number: page.pointee.previous).pointee.next = page.pointee.next
    if first.pointee == page.number { first.pointee = page.pointee.next }
  }
  page.pointee.next = 0
  page.pointee.previous = 0
}

/// Makes `page` the one that a heap's thread takes blocks of this class from: the running thread, or none.
func setCurrent(_ heap: Heap, _ sizeClass: Int, _ page: Page) {
  let current = mallow_heap_current(heap)
  if current[sizeClass] == page.address { return }
  revokeGrant(Page(at: current[sizeClass]), of: heap)
  current[sizeClass] = page.address
  let bit: UInt64 = 1 &<< UInt64(sizeClass & 63)
  let inUse = mallow_heap_in_use(heap) + (sizeClass &>> 6)
  if page == heap.noPage { inUse.pointee &= ~bit } else { inUse.pointee |= bit }
  let block = blockSize(ofClass: sizeClass)
  if block > directLimit || heap != mallow_thread_heap { return }
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
    if page.isEmpty { releasePage(page, of: heap) }
  }
}
