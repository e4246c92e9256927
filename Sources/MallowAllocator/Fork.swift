// fork in a process with many threads. No lock is taken for it: libc takes locks of its own between a handler before the fork and the
// fork, whose holders may be waiting for ours. The child instead mends what a thread that does not exist there was doing: fork
// copies memory as if every other thread had been stopped between two of its instructions, and the structures under the main
// lock are changed in such an order that at worst some slices are lost, while sums and the map can be made anew. Heaps of those
// threads become orphans, except those that were caught in the middle of a slow path: these are left alone.
// SPDX-License-Identifier: Apache-2.0
import CMallow

@c(mallow_after_fork_in_child)
func afterForkInChild() {
  let parent = mallow_thread_id
  mallow_thread_id = mallow_gettid()
  // The forking thread may hold a lock itself, where a signal handler interrupted it: it still does.
  if !passOn(mallow_main_lock(), from: parent) { mendRegions() }
  _ = passOn(mallow_stack_lock(), from: parent)
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

/// Gives a lock to the child's thread where the forking thread held it, and frees it where another thread did.
/// - Returns: whether what it guards is whole: nobody or the forking thread held it.
private func passOn(_ lock: UnsafeMutablePointer<mallow_lock>, from parent: UInt32) -> Bool {
  let holder = holder(of: lock)
  if holder == 0 { return true }
  let wasMine = holder == parent
  lock.pointee.word = wasMine ? mallow_thread_id : 0
  return wasMine
}

/// Makes sums, the region map, and where searches start anew from the bitmaps and records.
func mendRegions() {
  mendPageTable()
  var allDirty: UInt64 = 0
  mallow_state.used = 0
  var order: UInt64 = 0
  mallow_state.first_free = 0
  mallow_state.first_dirty = 0
  mallow_state.unused_records = 0
  var candidate = firstRegion()
  while let region = candidate {
    candidate = region.next
    mallow_state.last_region = UInt64(UInt(bitPattern: region))
    region.pointee.order = order
    order &+= 1
    if region.pointee.base == 0 {
      giveBack(region)
      continue
    }
    if region.pointee.kind != UInt32(MALLOW_MAP_REGION) {
      markMap(region)
      continue
    }
    mallow_map()[Int(region.pointee.base &>> UInt64(MALLOW_REGION_SHIFT))] = UInt8(MALLOW_MAP_REGION)
    regionRecord(of: region.pointee.base).pointee = UInt64(UInt(bitPattern: region))
    var free = 0
    var dirty = 0
    for index in 0..<Int(MALLOW_BITMAP_WORDS) {
      free &+= mallow_region_free(region)[index].nonzeroBitCount
      dirty &+= (mallow_region_free(region)[index] & mallow_region_dirty(region)[index]).nonzeroBitCount
    }
    region.pointee.free_slices = UInt32(free)
    region.pointee.dirty_free_slices = UInt32(dirty)
    allDirty &+= UInt64(dirty)
    mallow_state.used &+= UInt64(region.pointee.slices) &- UInt64(free)
  }
  mallow_state.dirty_free = allDirty
}
