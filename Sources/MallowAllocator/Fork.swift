// fork in a process with many threads. The forking thread takes the locks, so that the child's copy of what they guard is
// whole; it may hold one already where it forks from a signal handler, and then keeps it. In the child, the heaps of threads
// that do not exist there become orphans, except those that were caught in the middle of a slow path: these are left alone.
// SPDX-License-Identifier: Apache-2.0
import CMallow

private let mainLockNested: UInt32 = 1
private let stackLockNested: UInt32 = 2

@c(mallow_before_fork)
func beforeFork() {
  var nested: UInt32 = 0
  if holds(mallow_main_lock()) { nested |= mainLockNested } else { acquire(mallow_main_lock()) }
  if holds(mallow_stack_lock()) { nested |= stackLockNested } else { acquire(mallow_stack_lock()) }
  mallow_state.fork_nested = nested
}

private func releaseAfterFork() {
  let nested = mallow_state.fork_nested
  if nested & stackLockNested == 0 { release(mallow_stack_lock()) }
  if nested & mainLockNested == 0 { release(mallow_main_lock()) }
}

@c(mallow_after_fork_in_parent)
func afterForkInParent() { releaseAfterFork() }

@c(mallow_after_fork_in_child)
func afterForkInChild() {
  // The child's only thread has a new id, which a lock that it still holds must carry too.
  mallow_thread_id = mallow_gettid()
  if mallow_state.fork_nested & mainLockNested != 0 { mallow_state.lock.word = mallow_thread_id }
  if mallow_state.fork_nested & stackLockNested != 0 { mallow_state.stack_lock.word = mallow_thread_id }
  releaseAfterFork()
  let mine: Heap = mallow_thread_heap
  var candidate = firstHeap()
  while let heap = candidate {
    if heap == mine {
      heap.pointee.thread = mallow_thread_id
    } else if heap.pointee.state != UInt64(MALLOW_HEAP_ORPHAN) {
      heap.pointee.thread = 0
      heap.pointee.state = UInt64(heap.pointee.in_slow_path == 0 ? MALLOW_HEAP_ORPHAN : MALLOW_HEAP_FROZEN)
    }
    candidate = heap.next
  }
}
