// One heap for each thread. A heap outlives its thread, with all its pages: the next new thread takes it over.
// SPDX-License-Identifier: Apache-2.0
import CMallow

func firstHeap() -> Heap? { Heap(bitPattern: UInt(mallow_introspection.heaps)) }

extension UnsafeMutablePointer where Pointee == mallow_heap {
  var next: Heap? { Heap(bitPattern: UInt(pointee.next)) }

  func changeState(from old: Int32, to new: Int32) -> Bool {
    var expected = UInt64(old)
    return mallow_compare_exchange(mallow_heap_state(self), &expected, UInt64(new))
  }
}

/// The running thread's heap; nil where there is no memory for one.
func currentHeap() -> Heap? {
  let heap: Heap = mallow_thread_heap
  return heap.isEmptyHeap ? adoptHeap() : heap
}

@inline(never)
private func adoptHeap() -> Heap? {
  mallow_empty_page.budget = 0
  if mallow_load32(mallow_initialized()) != 2 { initialize() }
  guard let heap = orphan() ?? makeHeap() else { return nil }
  heap.pointee.thread = threadID()
  mallow_thread_heap = heap
  // An orphan whose thread ended without telling still has pages in use.
  for index in 0..<Int(MALLOW_CLASS_COUNT) { setCurrent(heap, index, heap.noPage) }
  setDirect(heap.noPage)
  if mallow_state.key_ready != 0 { pthread_setspecific(mallow_state.key, heap) }
  return heap
}

/// Sets where the running thread's fast path finds pages of all sizes.
private func setDirect(_ page: Page) {
  for index in 0..<Int(MALLOW_DIRECT_COUNT) { mallow_direct()[index] = page.address }
}

private func orphan() -> Heap? {
  var candidate = firstHeap()
  while let heap = candidate {
    if heap.pointee.state == UInt64(MALLOW_HEAP_ORPHAN) && heap.changeState(from: MALLOW_HEAP_ORPHAN, to: MALLOW_HEAP_LIVE) {
      return heap
    }
    candidate = heap.next
  }
  return nil
}

private func makeHeap() -> Heap? {
  acquire(mallow_main_lock())
  defer { release(mallow_main_lock()) }
  let record = allocateMetadata(UInt64(MemoryLayout<mallow_heap>.size))
  guard let heap = Heap(bitPattern: UInt(record)) else { return nil }
  let current = mallow_heap_current(heap)
  for index in 0..<Int(MALLOW_CLASS_COUNT) { current[index] = heap.noPage.address }
  heap.pointee.random = mallow_introspection.key &+ record &* 0x9E37_79B9_7F4A_7C15 | 1
  for index in 0...Int(MALLOW_CLASS_COUNT) { mallow_heap_until_sample(heap)[index] = nextSample(heap) }
  heap.pointee.slow_only = mallow_introspection.hardened != 0 || mallow_introspection.profile == UInt32(MALLOW_PROFILE_FULL) ? 1 : 0
  heap.pointee.last_tick = milliseconds()
  heap.pointee.cached_limit = UInt32(MALLOW_CACHED_SLICES)
  heap.pointee.state = UInt64(MALLOW_HEAP_LIVE)
  heap.pointee.next = mallow_introspection.heaps
  mallow_publish()
  mallow_introspection.heaps = record
  return heap
}

/// The destructor of the thread-specific key: gives the running thread's heap up. The thread may allocate again afterwards, from
/// other destructors: it then takes a heap anew, and comes here anew.
@c(mallow_thread_ended)
func threadEnded(_ value: UnsafeMutableRawPointer?) {
  let heap: Heap = mallow_thread_heap
  if heap.isEmptyHeap { return }
  heap.pointee.in_slow_path &+= 1
  emptyQuarantine(heap)
  tidy(heap, pagesPerQueue: .max)
  for index in 0..<Int(MALLOW_CLASS_COUNT) { setCurrent(heap, index, heap.noPage) }
  heap.pointee.in_slow_path &-= 1
  setDirect(mallow_no_page())
  mallow_thread_heap = mallow_no_heap()
  heap.pointee.thread = 0
  mallow_store(mallow_heap_state(heap), UInt64(MALLOW_HEAP_ORPHAN))
  if mallow_state.dirty_free != 0 { tellLiveHeaps() }
}

/// Lets other threads give back what this one leaves.
private func tellLiveHeaps() {
  var candidate = firstHeap()
  while let heap = candidate {
    if heap.pointee.state == UInt64(MALLOW_HEAP_LIVE) { interruptGrants(heap) }
    candidate = heap.next
  }
}

func emptyQuarantine(_ heap: Heap) {
  for slot in 0..<Int(MALLOW_QUARANTINE_COUNT) {
    let block = mallow_heap_quarantine(heap)[slot]
    mallow_heap_quarantine(heap)[slot] = 0
    if block != 0 { releaseFromQuarantine(block) }
  }
}

/// A block was freed into a heap without a thread: every so often, and when the freeing thread next looks at the clock, its empty
/// pages are given back.
func noteOrphanFree(_ heap: Heap) {
  if heap.pointee.orphan_frees & 255 == 255 { tidyOrphan(heap, pagesPerQueue: 16) }
  heap.pointee.orphan_frees &+= 1  // a lost count does no harm
  if mallow_state.orphans_freed == 0 { mallow_state.orphans_freed = 1 }
  let mine: Heap = mallow_thread_heap
  if !mine.isEmptyHeap { expectPurge(mine) }
}

/// Tidies the orphans that have been freed into.
func tidyOrphansFreedInto() {
  var candidate = firstHeap()
  while let heap = candidate {
    if heap.pointee.orphan_frees != 0 && heap.pointee.state == UInt64(MALLOW_HEAP_ORPHAN) {
      heap.pointee.orphan_frees = 0
      tidyOrphan(heap, pagesPerQueue: .max)
    }
    candidate = heap.next
  }
}

/// Gives an orphan's empty pages back, unless a new thread takes the heap at this moment.
func tidyOrphan(_ heap: Heap, pagesPerQueue: Int, hollowOut: Bool = false) {
  guard heap.changeState(from: MALLOW_HEAP_ORPHAN, to: MALLOW_HEAP_CLAIMED) else { return }
  heap.pointee.in_slow_path &+= 1
  tidy(heap, pagesPerQueue: pagesPerQueue)
  if hollowOut { hollowOutPages(heap, now: milliseconds(), all: true) }
  heap.pointee.in_slow_path &-= 1
  mallow_store(mallow_heap_state(heap), UInt64(MALLOW_HEAP_ORPHAN))
}

/// Tidies all orphans, and finds heaps whose threads ended without telling: they allocated after their last destructor.
func tidyOrphans() {
  let saved = __errno_location().pointee
  var candidate = firstHeap()
  while let heap = candidate {
    let thread = heap.pointee.thread
    if heap.pointee.state == UInt64(MALLOW_HEAP_LIVE) && thread != 0 && thread != threadID() && !mallow_thread_exists(thread)
      && heap.pointee.in_slow_path == 0
      // It may have been given up and taken over by another thread meanwhile.
      && mallow_compare_exchange32(mallow_heap_thread(heap), thread, 0)
    {
      _ = heap.changeState(from: MALLOW_HEAP_LIVE, to: MALLOW_HEAP_ORPHAN)
    }
    tidyOrphan(heap, pagesPerQueue: .max, hollowOut: true)
    candidate = heap.next
  }
  __errno_location().pointee = saved
}

/// Gives back all that can be given back, at once.
/// - Returns: whether anything was.
public func trim() -> Bool {
  if let heap = currentHeap() {
    heap.pointee.in_slow_path &+= 1
    tidy(heap, pagesPerQueue: .max)
    hollowOutPages(heap, now: milliseconds(), all: true)
    heap.pointee.in_slow_path &-= 1
  }
  tidyOrphans()
  return purgeRegions(now: milliseconds(), all: true)
}
