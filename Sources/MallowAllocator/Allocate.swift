// malloc: the fast path takes the first block of the current page's list; everything else is the slow path.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// A block of at least `size` bytes, aligned to 16, or nil with `ENOMEM`.
@inline(__always)
public func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
  allocate(size, orElse: { allocateFromPage(UInt64(UInt(bitPattern: $0)), $1) }, orLarger: { allocateLarger(UInt64(UInt(bitPattern: $0))) })
}

/// The fast path: takes the first block of the current page's list.
/// - Parameters:
///   - budgetIsUsedUp: is called instead where the page's budget is used up, with the page.
///   - sizeIsLarger: is called instead for sizes that the fast path does not know.
@inline(__always)
public func allocate(
  _ size: Int, orElse budgetIsUsedUp: (Int, Page) -> UnsafeMutableRawPointer?, orLarger sizeIsLarger: (Int) -> UnsafeMutableRawPointer?
) -> UnsafeMutableRawPointer? {
  guard UInt(bitPattern: size) <= UInt(directLimit) else { return sizeIsLarger(size) }
  let page = Page(at: mallow_direct()[Int(truncatingIfNeeded: (UInt(bitPattern: size) &+ 15) &>> 4)])
  page.pointee.budget &-= 1
  return page.pointee.budget < 0 ? budgetIsUsedUp(size, page) : take(page.pointee.free, from: page)
}

/// Takes the first block of a page's list.
@inline(__always)
func take(_ block: UInt64, from page: Page) -> UnsafeMutableRawPointer {
  page.pointee.free = word(at: block)
  // Neither marked as free any more, nor holding a link that a leak search would take for the program's pointer.
  rawPointer(block).storeBytes(of: SIMD2<UInt64>(), as: SIMD2<UInt64>.self)
  return rawPointer(block)
}

/// Blocks of pages that are too large for the fast path's table: the same path by way of the size class. A budget may exceed the list here.
@c(mallow_allocate_larger) @inline(never) @usableFromInline
func allocateLarger(_ size: UInt64) -> UnsafeMutableRawPointer? {
  guard size <= largestBlock else { return allocateSlow(size) }
  let page = Page(at: mallow_heap_current(mallow_thread_heap)[sizeClass(ofLarge: size)])
  page.pointee.budget &-= 1
  if page.pointee.budget < 0 { return undoAndAllocate(size, page) }
  let block = page.pointee.free
  return block == 0 ? undoAndAllocate(size, page) : take(block, from: page)
}

@c(mallow_undo_and_allocate) @inline(never)
private func undoAndAllocate(_ size: UInt64, _ page: Page) -> UnsafeMutableRawPointer? {
  // Threads without a heap share a page that has nothing, and a count of theirs may get lost.
  if mallow_thread_heap.isEmptyHeap { page.pointee.budget = 0 } else { page.pointee.budget &+= 1 }
  return allocateSlow(size)
}

/// Grants a page whose budget is used up its whole list where that is possible without more ado.
@c(mallow_allocate_from_page) @inline(never) @usableFromInline
func allocateFromPage(_ size: UInt64, _ page: Page) -> UnsafeMutableRawPointer? {
  let heap: Heap = mallow_thread_heap
  page.undoCount()
  if page.pointee.budget != 0 { return allocateSlow(size) }
  let count = Int(page.pointee.carved) &- Int(page.pointee.used)
  let index = page.sizeClass
  if count <= 0 { return allocateFromNext(size, page) }
  if heap.pointee.until_clock <= 1 || mallow_heap_until_sample(heap)[index] < Int64(count) &* Int64(page.blockSize) {
    return allocateSlow(size)
  }
  heap.pointee.until_clock &-= 1
  if count < 64 {
    // A page whose blocks come and go a few at a time gets more of them, lest malloc come here for ever.
    let refills = mallow_heap_short_refills(heap)[index] &+ 1
    mallow_heap_short_refills(heap)[index] = refills
    if refills == 16 { return carveAndAllocate(size, page) }
  }
  grant(page, of: heap, min(count, grantLimit(heap, index)))
  page.pointee.budget &-= 1
  return take(page.pointee.free, from: page)
}

/// Where a page has no block left that it could grant, goes on to the next page of the queue if that has some, without more ado.
@c(mallow_allocate_from_next) @inline(never)
private func allocateFromNext(_ size: UInt64, _ page: Page) -> UnsafeMutableRawPointer? {
  let heap: Heap = mallow_thread_heap
  let number = page.pointee.next
  if number == 0 || heap.pointee.until_clock <= 1 || page.remoteCount != 0 { return allocateSlow(size) }
  let next = Page(number: number)
  let count = Int(next.pointee.carved) &- Int(next.pointee.used)
  let index = page.sizeClass
  if next == page || next.pointee.free == 0 || next.pointee.budget > 0 || mallow_heap_until_sample(heap)[index] < Int64(count) &* Int64(page.blockSize) {
    return allocateSlow(size)
  }
  heap.pointee.until_clock &-= 1
  moveToBack(page, of: heap)
  setCurrent(heap, index, next)
  page.pointee.budget = -1
  grant(next, of: heap, min(count, grantLimit(heap, index)))
  next.pointee.budget &-= 1
  return take(next.pointee.free, from: next)
}

@c(mallow_carve_and_allocate) @inline(never)
private func carveAndAllocate(_ size: UInt64, _ page: Page) -> UnsafeMutableRawPointer? {
  mallow_heap_short_refills(mallow_thread_heap)[page.sizeClass] = 0
  if Int(page.pointee.carved) < page.capacity { carve(page) }
  return allocateSlow(size)
}

@c(mallow_allocate_slow) @inline(never) @usableFromInline
func allocateSlow(_ size: UInt64) -> UnsafeMutableRawPointer? {
  allocate(size, alignment: 16, zeroed: false)
}

/// A block whose memory is zero, or nil with `ENOMEM`, also where the product overflows.
@inline(__always)
public func allocateZeroed(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer? {
  let (total, overflow) = UInt(bitPattern: count).multipliedReportingOverflow(by: UInt(bitPattern: size))
  if overflow { return allocateZeroedSlow(count, size) }
  guard total <= UInt(directLimit) else { return allocateZeroedSlow(count, size) }
  let page = Page(at: mallow_direct()[Int(truncatingIfNeeded: (total &+ 15) &>> 4)])
  page.pointee.budget &-= 1
  if page.pointee.budget < 0 { return allocateZeroedSlow(count, size) }
  let block = take(page.pointee.free, from: page)
  return total > 64 ? zeroLarger(block, Int(bitPattern: total)) : zero(block, Int(bitPattern: total))
}

/// Zeroes a block from the fast path, the first two words of which are zero already.
@inline(__always)
private func zero(_ block: UnsafeMutableRawPointer, _ size: Int) -> UnsafeMutableRawPointer? {
  let none = SIMD2<UInt64>()
  if size > 16 {
    (block + 16).storeBytes(of: none, as: SIMD2<UInt64>.self)
    if size > 32 { (block + 32).storeBytes(of: none, as: SIMD2<UInt64>.self) }
    if size > 48 { (block + 48).storeBytes(of: none, as: SIMD2<UInt64>.self) }
  }
  return block
}

@c(mallow_zero_larger) @inline(never)
private func zeroLarger(_ block: UnsafeMutableRawPointer, _ size: Int) -> UnsafeMutableRawPointer? { memset(block, 0, size) }

@c(mallow_allocate_zeroed_slow) @inline(never)
func allocateZeroedSlow(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer? {
  let (total, overflow) = UInt(bitPattern: count).multipliedReportingOverflow(by: UInt(bitPattern: size))
  if overflow { return outOfMemory() }
  if UInt64(total) > directLimit { return allocate(UInt64(total), alignment: 16, zeroed: true) }
  guard let block = allocateFromPage(UInt64(total), Page(at: mallow_direct()[Int((total &+ 15) &>> 4)])) else { return nil }
  return memset(block, 0, Int(total))
}

func outOfMemory() -> UnsafeMutableRawPointer? {
  __errno_location().pointee = ENOMEM
  return nil
}

/// Every allocation that the fast path does not serve.
/// - Parameter alignment: a power of two, at least 16.
@inline(never)
func allocate(_ size: UInt64, alignment: UInt64, zeroed: Bool) -> UnsafeMutableRawPointer? {
  if size > largestRequest { return outOfMemory() }
  guard let heap = currentHeap() else { return outOfMemory() }
  heap.pointee.in_slow_path &+= 1
  beat(heap)
  heap.noPage.pointee.budget = 0
  var block: UInt64
  if heap.pointee.slow_only != 0 {
    let record = mallow_introspection.profile == UInt32(MALLOW_PROFILE_FULL) || sampleIsDue(heap, class: sampleClass(of: size), size: size)
    block = allocateRecorded(heap, size, alignment: alignment, zeroed: zeroed, record: record)
  } else {
    block = 0
    let rounded = alignment == 16 ? size : roundUp(size == 0 ? 1 : size, to: alignment)
    if rounded <= largestBlock && alignment <= sliceSize {
      block = allocateBlock(heap, size, sizeClass(of: rounded), alignment: alignment, zeroed: zeroed)
      // Where there is no room for a page of many blocks there may be for this one.
      if block == 0 && rounded > 8192 { block = allocateSpan(heap, size, alignment: alignment, zeroed: zeroed) }
    } else if sampleIsDue(heap, class: Int(MALLOW_CLASS_COUNT), size: size) {
      block = allocateRecorded(heap, size, alignment: alignment, zeroed: zeroed, record: true)
    } else {
      block = allocateSpan(heap, size, alignment: alignment, zeroed: zeroed)
    }
  }
  heap.pointee.in_slow_path &-= 1
  return block == 0 ? outOfMemory() : pointer(block)
}

/// A block of a page: grants the fast path more of it where its budget is used up.
private func allocateBlock(_ heap: Heap, _ size: UInt64, _ sizeClass: Int, alignment: UInt64, zeroed: Bool) -> UInt64 {
  let current = Page(at: mallow_heap_current(heap)[sizeClass])
  if current.pointee.budget > 0 && current.pointee.free != 0 && (alignment == 16 || current.sizeClass == sizeClass) {
    current.pointee.budget &-= 1
    let block = take(current.pointee.free, from: current)
    if zeroed { memset(block, 0, Int(size)) }
    return address(block)
  }
  // A page that was lent may lie otherwise than the alignment wants.
  if current.sizeClass != sizeClass { setCurrent(heap, sizeClass, heap.noPage) } else { revokeGrant(current, of: heap) }
  var fresh = false
  guard let page = pageWithBlocks(heap, sizeClass, trailers: false, mayBeLarger: alignment == 16, fresh: &fresh) else { return 0 }
  if !refill(page, heap) {
    // The size is rounded as it was for the class, so that the weight of the sample is that class's.
    let rounded = alignment == 16 ? size : roundUp(max(size, 1), to: alignment)
    return allocateRecorded(heap, rounded, alignment: alignment, zeroed: zeroed, record: true)
  }
  setCurrent(heap, sizeClass, page)
  page.pointee.budget &-= 1
  let block = take(page.pointee.free, from: page)
  if zeroed {
    // A block that was carved just now from clean memory holds nothing but its link and mark, which are cleared.
    if !(fresh && SliceRun(of: page).isClean) { memset(block, 0, Int(size)) }
  }
  return address(block)
}

/// The first page of a queue that has a free block, a fresh one if need be; nil where there is no memory.
/// - Parameters:
///   - mayBeLarger: whether a page of a larger class may be found instead, where the class would need memory that was never used.
///   - fresh: set where the blocks found were carved just now.
func pageWithBlocks(_ heap: Heap, _ sizeClass: Int, trailers: Bool, mayBeLarger: Bool = false, fresh: inout Bool) -> Page? {
  var lookedAtRemote = false
  while true {
    guard let page = frontPage(heap, sizeClass, trailers: trailers) else {
      if !lookedAtRemote {
        lookedAtRemote = true
        takeBackRemotePages(heap)
        continue
      }
      if mayBeLarger {
        let isFresh = heap.pointee.cached_slices == 0 && mallow_state.dirty_free == 0
        if let lender = lender(heap, to: sizeClass, evenFew: isFresh) { return lender }
        if isFresh, let coarse = coarsePage(heap, insteadOf: sizeClass) { return coarse }
      }
      if makePage(heap, sizeClass, trailers: trailers) == nil { return nil }
      continue
    }
    revokeGrant(page, of: heap)  // it may have been lent
    if page.pointee.free == 0 { collectRemote(page) }
    if page.pointee.free != 0 { return page }
    if Int(page.pointee.carved) < page.capacity || page.hollowBlocks != 0 {
      // Memory that was used before comes before memory that was never touched.
      if let used = usedPage(behind: page) {
        moveToFront(used, of: heap)
        continue
      }
      if mayBeLarger, let lender = lender(heap, to: sizeClass, evenFew: SliceRun(of: page).isClean) { return lender }
      if page.fillHollow() { return page }
      carve(page)
      fresh = true
      return page
    }
    // It may have got free blocks again when its turn comes next; then, at the latest, it leaves the queue.
    if page.pointee.budget == -1 || page.isAlone {
      _ = markFull(page, of: heap)
    } else {
      moveToBack(page, of: heap)
      page.pointee.budget = -1
    }
  }
}

/// A page with a free block among the next few of the queue.
private func usedPage(behind page: Page) -> Page? {
  var number = page.pointee.next
  for _ in 0..<8 where number != page.number {
    let candidate = Page(number: number)
    if candidate.pointee.free != 0 || candidate.remoteCount != 0 { return candidate }
    number = candidate.pointee.next
  }
  return nil
}

/// Grants the blocks of a page's list to the fast path, as many as there are before the next sample.
/// - Returns: false where the very next block of this class is to be sampled.
private func refill(_ page: Page, _ heap: Heap) -> Bool {
  let size = Int64(page.blockSize)
  var count = size > directLimit ? Int64(largestGrant) : Int64(page.pointee.carved &- page.pointee.used)
  let untilSample = mallow_heap_until_sample(heap) + page.sizeClass
  if untilSample.pointee < count &* size {
    count = untilSample.pointee / size
    if count <= 0 {
      untilSample.pointee = nextSample(heap)
      return false
    }
  }
  if heap.pointee.purge_pending != 0 {
    // Few at first: they bring the heap back to the slow path soon, where it looks at the clock.
    let most = max(Int64(heap.pointee.grant_limit), 4)
    if most < 64 { heap.pointee.grant_limit = UInt32(most &* 2) }
    if count > most { count = most }
  }
  grant(page, of: heap, min(Int(count), grantLimit(heap, page.sizeClass)))
  return true
}
