// How many blocks the fast path of malloc may take from a page before it must come to the slow path: the page's budget. It never
// exceeds the length of the page's list where the fast path does not look whether the list is empty. The whole budget counts as
// used and as allocated from the moment it is granted, so that malloc itself counts nothing but the budget down. By it the slow
// path, where the sampler and the clock are looked at, is sure to be reached, without a test of its own on the fast path.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Refills after which blocks of a class come and go fast, until the next tick.
private let busyAfter: UInt8 = 64
/// The most blocks that are granted at once where the fast path looks whether the list is empty.
let largestGrant = 1024

/// The most blocks of a class that may be granted now. The first grants after a tick are short, those of large blocks all but one:
/// a page that becomes empty while blocks are granted is not seen to be, and need not be where blocks come and go fast.
@inline(__always)
func grantLimit(_ heap: Heap, _ sizeClass: Int) -> Int {
  let refills = mallow_heap_refills(heap) + sizeClass
  if refills.pointee == busyAfter { return largestGrant &* 4 }
  refills.pointee &+= 1
  return blockSize(ofClass: sizeClass) > directLimit ? 1 : 1 &<< Int(min(refills.pointee, 12))
}

/// Whether blocks of the class come and go fast: a page of it that becomes empty will be wanted again at once.
@inline(__always)
func isBusy(_ heap: Heap, _ sizeClass: Int) -> Bool {
  let refills = mallow_heap_refills(heap)[sizeClass]
  return refills == busyAfter || refills > 8 && blockSize(ofClass: sizeClass) <= directLimit
}

/// Grants `count` blocks of the class's current page.
@inline(__always)
func grant(_ page: Page, of heap: Heap, _ count: Int) {
  let index = page.sizeClass
  page.pointee.used &+= UInt16(truncatingIfNeeded: count)
  page.pointee.budget = Int16(truncatingIfNeeded: count)
  mallow_heap_handed_out(heap)[index] &+= UInt64(count)
  mallow_heap_until_sample(heap)[index] &-= Int64(count) &* Int64(page.blockSize)
}

extension UnsafeMutablePointer where Pointee == mallow_page {
  /// How many blocks of the budget are left.
  @inline(__always)
  var budgetLeft: Int {
    let budget = Int(pointee.budget)
    if budget >= 0 { return budget }
    return budget < -Int(MALLOW_BUDGET_INTERRUPTED) / 2 ? Swift.max(budget &+ Int(MALLOW_BUDGET_INTERRUPTED), 0) : 0
  }

  /// Undoes the count of the fast path, which found that there was nothing to take.
  @inline(__always)
  public func undoCount() { pointee.budget = pointee.budget < -1 ? pointee.budget &+ 1 : 0 }
}

/// Takes back what is left of a page's budget: those blocks were not allocated, nor do they count towards the next sample.
@inline(__always)
func revokeGrant(_ page: Page, of heap: Heap) {
  if page.pointee.budget == -1 { return }
  let left = page.budgetLeft
  page.pointee.budget = 0
  if left == 0 { return }
  let index = page.sizeClass
  page.pointee.used &-= UInt16(truncatingIfNeeded: left)
  mallow_heap_handed_out(heap)[index] &-= UInt64(left)
  mallow_heap_until_sample(heap)[index] &+= Int64(left) &* Int64(page.blockSize)
}

/// Calls `body` for each page that a heap takes blocks from.
@inline(__always)
private func forEachCurrentPage(_ heap: Heap, _ body: (Page) -> Void) {
  for half in 0..<2 {
    var classes = mallow_heap_in_use(heap)[half]
    while classes != 0 {
      body(Page(at: mallow_heap_current(heap)[half &* 64 &+ classes.trailingZeroBitCount]))
      classes &= classes &- 1
    }
  }
}

/// Takes back all that is granted.
func revokeGrants(_ heap: Heap) {
  forEachCurrentPage(heap) { revokeGrant($0, of: heap) }
}

/// Brings another thread to its slow path soon: its budgets are made to look used up. Where that thread is just counting one down, it
/// stays as it was, for once.
func interruptGrants(_ heap: Heap) {
  forEachCurrentPage(heap) { if $0.pointee.budget > 0 { mallow_interrupt_budget($0) } }
  heap.pointee.purge_pending = 1
  heap.pointee.until_clock = 1
}
