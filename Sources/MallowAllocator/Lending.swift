// Classes share memory: one that would need memory which was never used takes the free blocks of a larger class instead, and so the
// fast path takes blocks of one page for several sizes. Where many sizes come and go, each class would otherwise keep the most that it ever
// needed, each at another time.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// How many classes up a page may be that a class takes blocks of: a quarter larger, or the next power of two.
let lendingReach = 8

/// How many small loans a class takes before it gets more memory of its own: they cost about as much time as the first touch of that
/// memory.
private let mostSmallLoans: UInt8 = 16
/// A loan of so many blocks is worth its time, and one of any that are as large as half a page of the kernel.
private let largeLoan = 16

/// A page of a larger class with blocks to spare.
func lender(_ heap: Heap, to sizeClass: Int, evenFew: Bool) -> Page? {
  // The fast path looks whether there is a block at all only for sizes above its table's.
  let own = blockSize(ofClass: sizeClass)
  let most = min(own &+ own / 4, own > directLimit ? .max : directLimit)
  let loans = mallow_heap_loans(heap) + sizeClass
  for larger in (sizeClass &+ 1)..<min(sizeClass &+ 1 &+ lendingReach, Int(MALLOW_CLASS_COUNT)) {
    let size = blockSize(ofClass: larger)
    if size > most { break }
    guard let page = frontPage(heap, larger, trailers: false) else { continue }
    let free = Int(page.pointee.carved) &- Int(page.pointee.used) &+ page.budgetLeft
    if page.pointee.free == 0 || mallow_heap_until_sample(heap)[larger] < Int64(size) { continue }
    if free < largeLoan && size < mallow_state.kernel_page / 2 {
      if !evenFew || loans.pointee == mostSmallLoans || UInt64(free) &* size < mallow_state.kernel_page / 4 { continue }
      loans.pointee &+= 1
    }
    revokeGrant(page, of: heap)
    return page
  }
  loans.pointee = 0
  return nil
}

/// Blocks up to this many bytes may be those of a coarser class.
private let largestFine: UInt64 = 256
/// A heap with fewer pages than this is small.
private let smallHeap: UInt32 = 16

/// A page of a coarser class with blocks carved just now, for a class of a small process that may never need many blocks: a page of its
/// own would cost a page of the kernel at once. Only in the heap of the first thread: where threads come and go, their heaps would
/// collect pages of both kinds.
func coarsePage(_ heap: Heap, insteadOf sizeClass: Int) -> Page? {
  let size = blockSize(ofClass: sizeClass)
  if size > largestFine || heap.pointee.next != 0 || heap.pointee.pages >= smallHeap || mallow_heap_handed_out(heap)[sizeClass] > 64 { return nil }
  let coarse = coarseClass(size)
  if coarse == sizeClass || mallow_heap_until_sample(heap)[coarse] < Int64(blockSize(ofClass: coarse)) { return nil }
  guard let page = frontPage(heap, coarse, trailers: false) ?? makePage(heap, coarse, trailers: false) else { return nil }
  revokeGrant(page, of: heap)
  if page.pointee.free == 0 {
    if page.touched >= 4 &* mallow_state.kernel_page { return nil }
    carve(page)
  }
  return page
}

/// The class of the next power of two, at least 32 bytes.
func coarseClass(_ size: UInt64) -> Int {
  sizeClass(of: max(1 &<< UInt64(64 &- (size &- 1).leadingZeroBitCount), 32))
}

/// Lets no smaller class take blocks of a page any more.
func takeBack(_ page: Page, lentBy heap: Heap) {
  let index = page.sizeClass
  for smaller in max(index &- lendingReach, 0)..<index where mallow_heap_current(heap)[smaller] == page.address {
    setCurrent(heap, smaller, heap.noPage)
  }
}
