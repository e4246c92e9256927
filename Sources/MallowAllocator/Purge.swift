// Giving memory back: free slices whose memory is still resident are returned to the system once they have been free for
// the purge delay. There is no thread to do it: allocations and frees that take the slow path look at the clock.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Returns free slices to the system.
/// - Parameters:
///   - now: milliseconds.
///   - all: at once, without regard to how long they have been free.
/// - Returns: whether any memory was given back.
@discardableResult
func purgeRegions(now: UInt64, all: Bool) -> Bool {
  if all {
    acquire(mallow_main_lock())
  } else {
    if mallow_state.dirty_free == 0 || now &- mallow_state.last_purge < mallow_state.purge_delay / 2 { return false }
    if !tryAcquire(mallow_main_lock()) { return false }
  }
  mallow_state.last_purge = now
  mallow_state.purge_refused = 0
  var purged = false
  var candidate = firstRegion()
  while let region = candidate {
    if region.pointee.dirty_free_slices != 0 {
      // A region that nothing was freed into for the whole delay is given back entirely, another one as far as its slices
      // were free at the last look already.
      let whole = all || now &- region.pointee.last_free >= mallow_state.purge_delay
      if purge(region, whole: whole) { purged = true }
      // Locked memory: the rest will be refused as well.
      if mallow_state.purge_refused != 0 { break }
    }
    candidate = region.next
  }
  release(mallow_main_lock())
  return purged
}

/// Milliseconds of a period in which taken slices are counted.
private let periodLength: UInt64 = 50

/// Gives a region's free slices back at once where there are far more of them than the process has lately taken: one that only frees.
/// The main lock must be held; it is released while the system works.
func purgeExcess(_ region: Region, now: UInt64) {
  let taken = mallow_taken()
  if now &- mallow_state.period >= periodLength {
    taken[1] = now &- mallow_state.period < 2 &* periodLength ? taken[0] : 0
    taken[0] = 0
    mallow_state.period = now
  }
  // Two MiB and a sixteenth of what is in use; and a region is worth the system call from eight slices on.
  let limit = 32 &+ mallow_state.used / 16 &+ taken[0] &+ taken[1]
  if mallow_state.dirty_free <= limit || region.pointee.dirty_free_slices < 8 || mallow_state.purge_refused != 0 { return }
  _ = purge(region, whole: true)
}

/// The main lock must be held; it is released while the system works.
private func purge(_ region: Region, whole: Bool) -> Bool {
  let free = mallow_region_free(region)
  let dirty = mallow_region_dirty(region)
  let stale = mallow_region_stale(region)
  var purged = false
  var bit = 0
  let limit = Int(region.pointee.slices)
  func isDue(_ bit: Int) -> Bool {
    let index = bit &>> 6
    let due: UInt64 = free[index] & dirty[index] & (whole ? ~0 : stale[index])
    return due &>> UInt64(bit & 63) & 1 != 0
  }
  while bit < limit {
    if !isDue(bit) {
      bit &+= 1
      continue
    }
    var end = bit &+ 1
    while end < limit && isDue(end) { end &+= 1 }
    let count = end &- bit
    // Taken for the time of the system call, so that others neither get these slices nor wait for it.
    clear(free, from: bit, count: count)
    region.pointee.free_slices &-= UInt32(count)
    region.pointee.dirty_free_slices &-= UInt32(count)
    mallow_state.dirty_free &-= UInt64(count)
    release(mallow_main_lock())
    let done = purgeMemory(
      region.pointee.base &+ UInt64(bit) &<< UInt64(MALLOW_SLICE_SHIFT), UInt64(count) &<< UInt64(MALLOW_SLICE_SHIFT))
    acquire(mallow_main_lock())
    if done {
      forEachWord(from: bit, count: count) {
        mallow_and(dirty + $0, ~$1)
        return true
      }
      clear(stale, from: bit, count: count)
      purged = true
    } else {
      region.pointee.dirty_free_slices &+= UInt32(count)
      mallow_state.dirty_free &+= UInt64(count)
    }
    set(free, from: bit, count: count)
    region.pointee.free_slices &+= UInt32(count)
    noteFreeSlices(region, dirty: done ? 0 : count)
    mallow_state.purge_refused = done ? 0 : 1
    if !done { return purged }
    bit = end
  }
  for index in 0..<Int(MALLOW_BITMAP_WORDS) { stale[index] = free[index] & dirty[index] }
  return purged
}

/// Called on slow paths: looks at the clock every so often.
@inline(__always)
func beat(_ heap: Heap) {
  if heap.pointee.until_clock > 1 { heap.pointee.until_clock &-= 1 } else { tick(heap) }
}

/// Gives a heap's empty pages and old free slices back when it is time.
func tick(_ heap: Heap) { tick(heap, at: milliseconds()) }

@inline(__always)
func tick(_ heap: Heap, at now: UInt64) {
  heap.pointee.until_clock = heap.pointee.purge_pending != 0 ? 1 : 32
  if now &- heap.pointee.last_tick >= mallow_state.purge_delay / 2 {
    giveOldBack(heap, now: now)
  } else if hasChanged(heap), now &- heap.pointee.last_hollow >= hollowDelay {
    revokeGrants(heap)
    hollowOutPages(heap, now: now)
  }
}

@inline(never)
private func giveOldBack(_ heap: Heap, now: UInt64) {
  heap.pointee.last_tick = now
  memset(mallow_heap_refills(heap), 0, Int(MALLOW_CLASS_COUNT))
  tidy(heap, pagesPerQueue: 16)
  hollowOutPages(heap, now: now)
  if mallow_state.orphans_freed != 0 {
    mallow_state.orphans_freed = 0
    tidyOrphansFreedInto()
  }
  purgeRegions(now: now, all: false)
  if mallow_state.dirty_free == 0 || mallow_state.purge_refused != 0 { heap.pointee.purge_pending = 0 }
}

/// The same for slices freed at a time in milliseconds: once at each reading of the coarse clock is enough, since grants stay short.
@inline(__always)
func expectPurge(_ heap: Heap, freedAt now: UInt64) {
  if heap.pointee.purge_pending != 0 && heap.pointee.last_expected == now { return }
  heap.pointee.last_expected = now
  expectPurge(heap)
}

/// Notes that this heap has freed slices which are still resident. Its next allocations take the slow path, so that even a
/// process that is about to go idle gives the memory back with its next few calls.
func expectPurge(_ heap: Heap) {
  heap.pointee.purge_pending = 1
  heap.pointee.until_clock = 1
  heap.pointee.grant_limit = 4
  revokeGrants(heap)
}
