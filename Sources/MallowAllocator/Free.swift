// free: the fast path puts a block of the thread's own current pages back on the page's list; the slow path tells apart
// everything else, from other threads' blocks to pointers that were never allocated.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Frees a block. An address that is not a live block's is reported, and the process aborted.
@inline(__always)
public func deallocate(_ block: UnsafeMutableRawPointer?) {
  let block = UInt64(UInt(bitPattern: block))
  let page = Page(ofSliceAt: block)
  if page.pointee.owner == mallow_thread_heap.address && page.contains(block: block) && word(at: block &+ 8) != page.address {
    setWord(at: block &+ 8, page.address)
    setWord(at: block, page.pointee.free)
    page.pointee.free = block
    page.pointee.used &-= 1
    if page.pointee.used != 0 { return }
    return pageEmptied(page)
  }
  deallocateSlow(block)
}

/// A page of the running thread has no block in use any more.
@c(mallow_page_emptied) @inline(never)
func pageEmptied(_ page: Page) {
  let heap: Heap = mallow_thread_heap
  if mallow_heap_current(heap)[page.sizeClass] == page.address || page.isAlone {
    // Much memory is kept for the class's next block where that is wanted at once, little of it anyway.
    if isBusy(heap, page.sizeClass) || page.touched <= 4 &* mallow_state.kernel_page { return }
  }
  releaseEmptied(page, heap)
}

@c(mallow_release_emptied) @inline(never)
private func releaseEmptied(_ page: Page, _ heap: Heap) {
  heap.pointee.in_slow_path &+= 1
  releasePage(page, of: heap)
  beat(heap)
  heap.pointee.in_slow_path &-= 1
}

@c(mallow_deallocate_slow) @inline(never)
func deallocateSlow(_ block: UInt64) {
  let page = Page(blockAt: block)
  if page.hasInUse(block: block) { return putBack(block, page) }
  if page.pointee.kind == UInt8(MALLOW_PAGE_SPAN) && page.start == block && page.pointee.free == 0 {
    return freeSpan(page, mallow_thread_heap)
  }
  if block != 0 { deallocateOther(block) }
}

/// Blocks that the short way does not know, and misuse.
@inline(never)
private func deallocateOther(_ block: UInt64) {
  let found = locate(block, doing: "free")
  if found.page.pointee.kind == UInt8(MALLOW_PAGE_BLOCKS) {
    if found.page.hasTrailers { noteRecordedFree(found.page, block) }
    freeBlock(block, found.page)
    return
  }
  if found.page.pointee.free != 0 { noteFree(profileWord: found.page.pointee.free, size: found.page.pointee.requested) }
  if let record = found.record {
    freeHuge(record)
  } else {
    freeSpan(found.page, mallow_thread_heap)
  }
}

/// Puts a freed block back, in hardened mode after its time in quarantine.
private func freeBlock(_ block: UInt64, _ page: Page) {
  let mine: Heap = mallow_thread_heap
  if mallow_introspection.hardened == 0 || mine.isEmptyHeap { return putBack(block, page) }
  let released = quarantine(block, mine)
  if released != 0 { putBack(released, Page(blockAt: released)) }
}

/// Puts a block on its page's list, or on the list for its owner where that is another thread.
func putBack(_ block: UInt64, _ page: Page) {
  let heap = page.heap
  if heap != mallow_thread_heap { return freeRemotely(block, page, heap) }
  heap.pointee.in_slow_path &+= 1
  pushLocally(block, page, heap)
  heap.pointee.in_slow_path &-= 1
}

private func pushLocally(_ block: UInt64, _ page: Page, _ heap: Heap) {
  page.markFree(block, next: page.pointee.free)
  page.pointee.free = block
  page.pointee.used &-= 1
  if page.isFull {
    if !markNotFull(page, of: heap) { return }
  }
  if page.pointee.used == 0 && mallow_heap_current(heap)[page.sizeClass] != page.address {
    releasePage(page, of: heap)
    beat(heap)
  }
}

/// Hands a block to the thread that owns its page: one atomic operation.
private func freeRemotely(_ block: UInt64, _ page: Page, _ owner: Heap) {
  setWord(at: block &+ 8, page.freeMark(block))
  var head = mallow_load(page.remoteFree)
  repeat {
    setNextBlock(block, head & MALLOW_REMOTE_ADDRESS)
  } while !mallow_compare_exchange(page.remoteFree, &head, block | (head & ~MALLOW_REMOTE_ADDRESS & ~15) &+ 1 &<< UInt64(MALLOW_REMOTE_COUNT_SHIFT))
  if head & UInt64(MALLOW_REMOTE_NOTIFY) != 0 {
    // The page was full: its heap looks at it only if told to.
    var first = mallow_load(mallow_heap_remote_pages(owner))
    repeat {
      page.pointee.next = UInt32(truncatingIfNeeded: first)
    } while !mallow_compare_exchange(mallow_heap_remote_pages(owner), &first, UInt64(page.number))
  }
  if owner.pointee.state == UInt64(MALLOW_HEAP_ORPHAN) { noteOrphanFree(owner) }
}

/// What `locate` finds: the descriptor of a block, and the record of a huge one.
struct Located {
  var page: Page
  var record: Region?
}

extension UnsafeMutablePointer where Pointee == mallow_page {
  /// The head descriptor of the page that `block`, a block in a region, lies in. Other addresses lead to some descriptor.
  @inline(__always)
  init(blockAt block: UInt64) {
    let page = Page(ofSliceAt: block)
    self = page.pointee.kind == UInt8(MALLOW_PAGE_TAIL) ? page - Int(page.pointee.slices) : page
  }
}

/// Finds the live block that starts at `block`; anything else is misuse, which is reported before the process is aborted.
/// - Parameter doing: the function that was called, for the report.
func locate(_ block: UInt64, doing function: StaticString) -> Located {
  let slot = block &>> UInt64(MALLOW_REGION_SHIFT)
  let kind = slot < UInt64(MALLOW_REGION_MAP_BYTES) ? mallow_map()[Int(slot)] : UInt8(MALLOW_MAP_FOREIGN)
  switch Int32(kind) {
  case MALLOW_MAP_REGION:
    let page = Page(blockAt: block)
    switch Int32(page.pointee.kind) {
    case MALLOW_PAGE_BLOCKS:
      if !page.contains(block: block) { reportInvalid(function, block, page) }
      if page.hasFreeMark(block) && page.isFree(block) { reportDoubleFree(function, block, page.blockSize) }
      return Located(page: page, record: nil)
    case MALLOW_PAGE_SPAN:
      if block != page.start { reportInvalid(function, block, page) }
      return Located(page: page, record: nil)
    default:
      reportInvalid(function, block, spanAround(page))
    }
  case MALLOW_MAP_HUGE, MALLOW_MAP_HUGE_ALIGNED:
    guard let record = hugeRecord(block, kind: kind) else { reportInsideHuge(function, block) }
    return Located(page: mallow_region_page(record), record: record)
  case MALLOW_MAP_HUGE_TAIL:
    reportInsideHuge(function, block)
  default:
    reportForeign(function, block)
  }
}

/// The span that covers a slice without a descriptor of its own; otherwise the slice's descriptor.
private func spanAround(_ page: Page) -> Page {
  let last = Page(ofSliceAt: 0)  // the table's first
  var candidate = page
  var distance = 0
  while candidate.pointee.kind == UInt8(MALLOW_PAGE_FREE) && candidate > last && distance < Int(MALLOW_SLICES_PER_REGION) {
    candidate -= 1
    distance &+= 1
  }
  return candidate.pointee.kind == UInt8(MALLOW_PAGE_SPAN) && Int(candidate.pointee.slices) > distance ? candidate : page
}

/// The bytes that a live block offers; 0 for nil.
@inline(__always)
public func usableSize(of block: UnsafeMutableRawPointer?) -> Int {
  let block = UInt64(UInt(bitPattern: block))
  let page = Page(ofSliceAt: block)
  if page.hasInUse(block: block) { return Int(page.blockSize) }
  return usableSizeOfOther(block)
}

@c(mallow_usable_size_of_other) @inline(never)
public func usableSizeOfOther(_ block: UInt64) -> Int {
  if block == 0 { return 0 }
  return Int(usableSize(block, locate(block, doing: "malloc_usable_size")))
}

func usableSize(_ block: UInt64, _ found: Located) -> UInt64 {
  if let record = found.record { return usableSize(record) }
  if found.page.pointee.kind == UInt8(MALLOW_PAGE_SPAN) { return found.page.pointee.usable }
  return found.page.hasTrailers ? usableSizeBeforeTrailer(found.page, block) : found.page.blockSize
}
