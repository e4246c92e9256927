// Blocks of more than 64 KiB: whole slices of a region, or above 16 MiB a mapping of their own.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// A block of whole slices or of a mapping of its own; 0 where there is no memory.
func allocateSpan(_ heap: Heap, _ size: UInt64, alignment: UInt64, zeroed: Bool) -> UInt64 {
  let block: UInt64
  if size <= largestSpan && alignment <= largestSpan {
    let slices = spanSlices(size)
    guard let run = takeSlices(heap, slices, alignment: max(Int(alignment &>> UInt64(MALLOW_SLICE_SHIFT)), 1)) else { return 0 }
    if zeroed { zero(run, size: size) }
    let page = run.page
    describe(page, at: run.start, requested: size)
    page.pointee.slices = UInt16(run.count)
    mallow_publish()
    page.pointee.kind = UInt8(MALLOW_PAGE_SPAN)
    page.pointee.owner = heap.address | UInt64(MALLOW_OWNER_SPAN)
    block = run.start
  } else {
    block = allocateHuge(heap, size, alignment: alignment)
    if block == 0 { return 0 }
  }
  heap.pointee.span_allocations &+= 1
  return block
}

/// Slices for a span. Above 4 MiB the length has only six significant bits: free runs then fit the next spans more often, and the ends of
/// spans, which are where others begin and make memory resident, are fewer. What is over is address space.
private func spanSlices(_ size: UInt64) -> Int {
  let slices = (size &+ sliceSize &- 1) &>> UInt64(MALLOW_SLICE_SHIFT)
  if slices < 64 { return max(Int(slices), 1) }
  return Int(roundUp(slices, to: 1 &<< UInt64(58 &- slices.leadingZeroBitCount)))
}

/// Fills a single block's descriptor in, its kind and owner excepted.
private func describe(_ page: Page, at start: UInt64, requested: UInt64) {
  page.pointee.free = 0
  page.pointee.start = start
  page.pointee.usable = roundUp(max(requested, 1), to: mallow_state.kernel_page)
  page.pointee.requested = requested
  page.pointee.limit = 0
  page.pointee.used = 1
  page.pointee.budget = 0
  page.pointee.size_class = UInt8(MALLOW_CLASS_COUNT)
  page.pointee.next = 0
  page.pointee.previous = 0
}

/// A block with a mapping of its own, aligned to 64 MiB so that its record is found at its start.
private func allocateHuge(_ heap: Heap, _ size: UInt64, alignment: UInt64) -> UInt64 {
  if size > 1 &<< UInt64(MALLOW_ADDRESS_BITS) || alignment > 1 &<< UInt64(MALLOW_ADDRESS_BITS &- 1) { return 0 }
  let usable = roundUp(max(size, 1), to: mallow_state.kernel_page)
  let listed = alignment >= regionSize
  let offset = listed ? 0 : max(alignment, sliceSize)
  let mapped = offset &+ usable
  let base = mapAligned(mapped, alignment: listed ? alignment : regionSize)
  if base == 0 { return 0 }
  acquire(mallow_main_lock())
  defer { release(mallow_main_lock()) }
  guard (base &+ mapped) &>> UInt64(MALLOW_ADDRESS_BITS) == 0, let record = freeRecord() else {
    unmapMemory(base, mapped)
    return 0
  }
  let block = base &+ offset
  record.pointee.mapped = mapped
  record.pointee.kind = UInt32(listed ? MALLOW_MAP_HUGE_ALIGNED : MALLOW_MAP_HUGE)
  record.pointee.slices = 0
  record.pointee.block = block
  if !listed { setWord(at: base, UInt64(UInt(bitPattern: record))) }
  let page = mallow_region_page(record)
  describe(page, at: block, requested: size)
  page.pointee.kind = UInt8(MALLOW_PAGE_HUGE)
  page.pointee.owner = heap.address
  mallow_publish()
  record.pointee.base = base
  markMap(record)
  return block
}

/// A record that is not in use, a new one if need be. The main lock must be held.
private func freeRecord() -> Region? {
  if let record = Region(bitPattern: UInt(mallow_state.unused_records)) {
    mallow_state.unused_records = record.pointee.block
    return record
  }
  guard let record = Region(bitPattern: UInt(allocateMetadata(UInt64(MemoryLayout<mallow_region>.size)))) else { return nil }
  link(record)
  return record
}

/// Makes a record one that is not in use. The main lock must be held.
func giveBack(_ record: Region) {
  record.pointee.base = 0
  record.pointee.block = mallow_state.unused_records
  mallow_state.unused_records = UInt64(UInt(bitPattern: record))
}

/// Enters a huge block's mapping in the region map.
func markMap(_ record: Region) {
  let map = mallow_map()
  let first = Int(record.pointee.base &>> UInt64(MALLOW_REGION_SHIFT))
  let last = Int((record.pointee.base &+ record.pointee.mapped &- 1) &>> UInt64(MALLOW_REGION_SHIFT))
  let isListed = record.pointee.kind == UInt32(MALLOW_MAP_HUGE_ALIGNED)
  for slot in first...last {
    map[slot] = UInt8(isListed ? MALLOW_MAP_HUGE_ALIGNED : slot == first ? MALLOW_MAP_HUGE : MALLOW_MAP_HUGE_TAIL)
  }
}

private func clearMap(base: UInt64, size: UInt64) {
  for slot in Int(base &>> UInt64(MALLOW_REGION_SHIFT))...Int((base &+ size &- 1) &>> UInt64(MALLOW_REGION_SHIFT)) {
    mallow_map()[slot] = UInt8(MALLOW_MAP_FOREIGN)
  }
}

/// The record of a huge block, or nil where `block` is no such block's first address.
func hugeRecord(_ block: UInt64, kind: UInt8) -> Region? {
  if kind == UInt8(MALLOW_MAP_HUGE) {
    let record = Region(bitPattern: UInt(word(at: block & ~(regionSize &- 1)))).unsafelyUnwrapped
    return record.pointee.block == block ? record : nil
  }
  acquire(mallow_main_lock())
  defer { release(mallow_main_lock()) }
  var candidate = firstRegion()
  while let record = candidate {
    if record.pointee.base == block && record.pointee.kind == UInt32(MALLOW_MAP_HUGE_ALIGNED) { return record }
    candidate = record.next
  }
  return nil
}

/// The usable bytes of a huge block.
func usableSize(_ record: Region) -> UInt64 {
  record.pointee.base &+ record.pointee.mapped &- record.pointee.block
}

func freeHuge(_ record: Region) {
  let saved = __errno_location().pointee
  acquire(mallow_main_lock())
  let base = record.pointee.base
  let size = record.pointee.mapped
  clearMap(base: base, size: size)
  giveBack(record)
  release(mallow_main_lock())
  // Without the lock, since it may take long: until it is done nobody else can get these addresses.
  unmapMemory(base, size)
  mallow_state.place_below = roundUp(base &+ size, to: regionSize)
  __errno_location().pointee = saved
}

/// Gives a span up; the heap may be the empty one.
func freeSpan(_ page: Page, _ heap: Heap) {
  let run = SliceRun(of: page)
  let touched = page.pointee.usable
  markFree(run, described: 1)
  if heap.isEmptyHeap {
    freeSlices(run, touched: touched)
    return
  }
  heap.pointee.in_slow_path &+= 1
  let now = giveUpSlices(heap, run, touched: touched)
  if now == 0 { beat(heap) } else { tick(heap, at: now) }
  heap.pointee.in_slow_path &-= 1
}

/// Changes a span's size where it lies.
/// - Returns: false where it must move.
func resizeSpan(_ page: Page, to size: UInt64) -> Bool {
  let needed = Int((max(size, 1) &+ sliceSize &- 1) &>> UInt64(MALLOW_SLICE_SHIFT))
  let run = SliceRun(of: page)
  if size > largestSpan || needed &* 2 < run.count || size <= largestBlock { return false }
  if needed > run.count {
    guard growSlices(run, by: needed &- run.count) else { return false }
    page.pointee.slices = UInt16(needed)
  }
  page.pointee.requested = size
  // Never less than before: what was in use may be resident.
  page.pointee.usable = max(page.pointee.usable, roundUp(size, to: mallow_state.kernel_page))
  return true
}

/// Grows or shrinks a huge block by remapping it.
/// - Returns: the block's address afterwards, or 0 where it could not be done: the block is as it was.
func resizeHuge(_ heap: Heap, _ record: Region, to size: UInt64) -> UInt64 {
  let block = record.pointee.block
  if record.pointee.kind != UInt32(MALLOW_MAP_HUGE) || size <= largestSpan || size > 1 &<< UInt64(MALLOW_ADDRESS_BITS) { return 0 }
  let page = mallow_region_page(record)
  let offset = block &- record.pointee.base
  let mapped = offset &+ roundUp(size, to: mallow_state.kernel_page)
  if mapped == record.pointee.mapped {
    page.pointee.requested = size
    return block
  }
  acquire(mallow_main_lock())
  defer { release(mallow_main_lock()) }
  let base = record.pointee.base
  let old = record.pointee.mapped
  var new = base
  if mallow_mremap(pointer(base), Int(old), Int(mapped), 0) == mallow_map_failed() {
    // It can't grow where it is: move its pages, without copying, to an aligned place where it can.
    new = mapAligned(mapped, alignment: regionSize)
    if new == 0 { return 0 }
    if (new &+ mapped) &>> UInt64(MALLOW_ADDRESS_BITS) != 0
      || mallow_mremap_to(pointer(base), Int(old), Int(mapped), pointer(new)) == mallow_map_failed()
    {
      unmapMemory(new, mapped)
      return 0
    }
  }
  clearMap(base: base, size: old)
  record.pointee.mapped = mapped
  record.pointee.block = new &+ offset
  record.pointee.base = new
  markMap(record)
  let moved = mallow_region_page(record)
  moved.pointee.requested = size
  moved.pointee.usable = roundUp(size, to: mallow_state.kernel_page)
  return new &+ offset
}
