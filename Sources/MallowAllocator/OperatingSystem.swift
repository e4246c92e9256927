// The operating system behind one file: mappings, time, locks, standard error.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Fresh zeroed memory, or 0 where the system refuses.
/// - Parameter hint: where it should lie: the kernel takes it just there or not at all; 0 lets the kernel choose.
func mapMemory(_ size: UInt64, at hint: UInt64 = 0, writable: Bool = true) -> UInt64 {
  let fixed = hint == 0 ? 0 : Int32(MAP_FIXED_NOREPLACE)
  let result = mmap(
    pointer(hint), Int(size), writable ? PROT_READ | PROT_WRITE : PROT_READ, Int32(MAP_PRIVATE) | Int32(MAP_ANONYMOUS) | Int32(MAP_NORESERVE) | fixed, -1, 0)
  guard result != mallow_map_failed() else { return 0 }
  if hint != 0 && address(result) != hint {  // a kernel before 4.17 takes the flag for a mere hint
    munmap(result, Int(size))
    __errno_location().pointee = EEXIST
    return 0
  }
  return address(result)
}

func unmapMemory(_ start: UInt64, _ size: UInt64) {
  if size != 0 { munmap(pointer(start), Int(size)) }
}

/// Fresh memory that starts at a multiple of `alignment`, or 0.
func mapAligned(_ size: UInt64, alignment: UInt64) -> UInt64 {
  // Mappings lie below one another, or where one was before: one system call instead of a search.
  let below = alignment == regionSize ? mallow_state.place_below : 0
  if below > size &+ alignment {
    let placed = mapMemory(size, at: (below &- size) & ~(alignment &- 1))
    if placed != 0 {
      mallow_state.place_below = placed
      return placed
    }
  }
  let placed = searchAligned(size, alignment: alignment)
  if placed != 0 && alignment == regionSize { mallow_state.place_below = placed }
  return placed
}

private func searchAligned(_ size: UInt64, alignment: UInt64) -> UInt64 {
  let start = mapMemory(size)
  if start == 0 { return 0 }
  if start & (alignment &- 1) == 0 { return start }
  // Below the kernel's choice the address space is usually free: take the aligned place just there.
  unmapMemory(start, size)
  var hint = start & ~(alignment &- 1)
  for _ in 0..<4 where hint > alignment {
    let placed = mapMemory(size, at: hint)
    if placed != 0 { return placed }
    hint &-= roundUp(size, to: alignment)
  }
  let (wide, overflow) = size.addingReportingOverflow(alignment)
  if overflow { return 0 }
  let whole = mapMemory(wide)
  if whole == 0 { return 0 }
  let aligned = roundUp(whole, to: alignment)
  unmapMemory(whole, aligned &- whole)
  unmapMemory(aligned &+ size, whole &+ wide &- aligned &- size)
  return aligned
}

/// Gives the memory's content back to the system; it reads as zero afterwards.
/// - Returns: false where the system refuses, as it does for locked memory.
@discardableResult
func purgeMemory(_ start: UInt64, _ size: UInt64) -> Bool {
  let saved = __errno_location().pointee
  defer { __errno_location().pointee = saved }
  return madvise(pointer(start), Int(size), Int32(MADV_DONTNEED)) == 0
}

/// Milliseconds of the coarse monotonic clock, which is read without entering the kernel.
@inline(__always)
func milliseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(clockid_t(CLOCK_MONOTONIC_COARSE), &time)
  return UInt64(time.tv_sec) &* 1000 &+ UInt64(time.tv_nsec) / 1_000_000
}

@inline(__always)
func threadID() -> UInt32 {
  if mallow_thread_id == 0 { mallow_thread_id = mallow_gettid() }
  return mallow_thread_id
}

private let waiters: UInt32 = 1 << 31

@inline(never)
func acquire(_ lock: UnsafeMutablePointer<mallow_lock>) {
  let word = UnsafeMutableRawPointer(lock).assumingMemoryBound(to: UInt32.self)
  let mine = threadID()
  if mallow_compare_exchange32(word, 0, mine) { return }
  keepMoreSlices()
  // The lock is held for a fraction of a microsecond, but where its holder was interrupted.
  for _ in 0..<200 {
    if mallow_load32(word) == 0 && mallow_compare_exchange32(word, 0, mine) { return }
    mallow_pause()
  }
  let saved = __errno_location().pointee
  while true {
    let seen = mallow_load32(word)
    if seen == 0 {
      // Others may wait: keep the mark, since it is not known that none do.
      if mallow_compare_exchange32(word, 0, mine | waiters) { break }
    } else if seen & waiters != 0 || mallow_compare_exchange32(word, seen, seen | waiters) {
      mallow_futex_wait(word, seen | waiters)
    }
  }
  __errno_location().pointee = saved
}

func release(_ lock: UnsafeMutablePointer<mallow_lock>) {
  let word = UnsafeMutableRawPointer(lock).assumingMemoryBound(to: UInt32.self)
  if mallow_exchange32(word, 0) & waiters != 0 { mallow_futex_wake(word) }
}

func tryAcquire(_ lock: UnsafeMutablePointer<mallow_lock>) -> Bool {
  mallow_compare_exchange32(UnsafeMutableRawPointer(lock).assumingMemoryBound(to: UInt32.self), 0, threadID())
}

/// The id of the thread that holds the lock, 0 for none.
func holder(of lock: UnsafeMutablePointer<mallow_lock>) -> UInt32 {
  mallow_load32(UnsafeMutableRawPointer(lock).assumingMemoryBound(to: UInt32.self)) & ~waiters
}
