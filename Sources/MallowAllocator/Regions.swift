// Regions: 64 MiB of address space each, handed out in slices of 64 KiB. First fit from the lowest address, so that the
// upper ones empty first; slices whose memory is still resident are taken before fresh ones.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Slices of one region.
struct SliceRun {
  var region: Region
  var first: Int
  var count: Int

  var start: UInt64 { region.pointee.base &+ UInt64(first) &<< UInt64(MALLOW_SLICE_SHIFT) }
  var page: Page { Page(ofSliceAt: start) }

  init(region: Region, first: Int, count: Int) {
    self.region = region
    self.first = first
    self.count = count
  }

  /// Whether the slices' memory is known to have been zero when they were handed out.
  var isClean: Bool { setBits(mallow_region_dirty(region), from: first, count: count) == 0 }

  /// Notes that the first `bytes` bytes may be resident and hold something. No lock is needed.
  func markDirty(_ bytes: UInt64) {
    let dirty = mallow_region_dirty(region)
    let slices = Int((bytes &+ sliceSize &- 1) &>> UInt64(MALLOW_SLICE_SHIFT))
    forEachWord(from: first, count: min(slices, count)) {
      if dirty[$0] & $1 != $1 { mallow_or(dirty + $0, $1) }
      return true
    }
  }

  /// The slices of a page or span, or of a run in a heap's cache.
  init(of page: Page) {
    region = Region(containing: page.start)
    first = Int((page.start &- region.pointee.base) &>> UInt64(MALLOW_SLICE_SHIFT))
    count = page.sliceCount
  }
}

/// Where the record of the region that contains `address`, an address in the window, is noted.
@inline(__always)
func regionRecord(of address: UInt64) -> UnsafeMutablePointer<UInt64> {
  mallow_records() + Int((address &>> UInt64(MALLOW_REGION_SHIFT)) & UInt64(MALLOW_REGION_RECORDS &- 1))
}

/// Maps another region, or as much of one as the system allows. The main lock must be held.
private func mapRegion(atLeast slices: Int) -> Region? {
  let needed = UInt64(slices) &<< UInt64(MALLOW_SLICE_SHIFT)
  if needed > regionSize { return nil }
  var size = mallow_state.region_bytes
  if size < needed { size = roundUp(needed, to: 1 << 20) }
  if size > regionSize { size = regionSize }
  var base: UInt64 = 0
  while true {
    base = mapInWindow(size)
    if base != 0 || size == needed { break }
    // An address-space limit or strict overcommit: settle for less, and ask for less from now on.
    size = size / 4 > needed ? size / 4 : needed
    mallow_state.region_bytes = size
  }
  if base == 0 { return nil }
  let count = Int(size &>> UInt64(MALLOW_SLICE_SHIFT))
  let record = allocateMetadata(UInt64(MemoryLayout<mallow_region>.size))
  let hollow = record == 0 ? 0 : allocateMetadata(UInt64(count &* MemoryLayout<mallow_hollow>.size))
  if hollow == 0 {
    unmapMemory(base, size)
    return nil
  }
  // Huge pages would make every small process pay 2 MiB for its first block.
  madvise(pointer(base), Int(size), Int32(MADV_NOHUGEPAGE))
  let region = Region(bitPattern: UInt(record)).unsafelyUnwrapped
  region.pointee.base = base
  region.pointee.hollow = hollow
  region.pointee.mapped = size
  region.pointee.kind = UInt32(MALLOW_MAP_REGION)
  region.pointee.slices = UInt32(count)
  set(mallow_region_free(region), from: 0, count: count)
  region.pointee.free_slices = UInt32(count)
  regionRecord(of: base).pointee = record
  link(region)
  mallow_map()[Int(base &>> UInt64(MALLOW_REGION_SHIFT))] = UInt8(MALLOW_MAP_REGION)
  return region
}

/// Appends to the list that readers walk, keeping first fit in order of creation.
func link(_ region: Region) {
  let record = UInt64(UInt(bitPattern: region))
  let last = Region(bitPattern: UInt(mallow_state.last_region))
  region.pointee.order = last.map { $0.pointee.order &+ 1 } ?? 0
  mallow_publish()
  if let last { last.pointee.next = record } else { mallow_introspection.regions = record }
  mallow_state.last_region = record
}

func firstRegion() -> Region? { Region(bitPattern: UInt(mallow_introspection.regions)) }

extension UnsafeMutablePointer where Pointee == mallow_region {
  /// The region that contains `address`, which must lie in one.
  @inline(__always)
  init(containing address: UInt64) { self = Region(bitPattern: UInt(regionRecord(of: address).pointee)).unsafelyUnwrapped }

  var next: Region? { Region(bitPattern: UInt(pointee.next)) }
}

/// Takes `count` slices in a row, aligned to `alignment` slices. Their memory is zero where their dirty bit is clear.
/// - Returns: nil where the system gives no more memory. The main lock must not be held.
func allocateSlices(_ count: Int, alignment: Int = 1) -> SliceRun? {
  acquire(mallow_main_lock())
  defer { release(mallow_main_lock()) }
  if count == 1 && alignment == 1 && mallow_state.dirty_free != 0 {
    var candidate = Region(bitPattern: UInt(mallow_state.first_dirty)) ?? firstRegion()
    while let region = candidate {
      if region.pointee.dirty_free_slices != 0, let first = region.findRun(1, alignment: 1, dirtyOnly: true) {
        mallow_state.first_dirty = UInt64(UInt(bitPattern: region))
        return take(region, first, 1)
      }
      candidate = region.next
    }
  }
  if let run = takeFree(count, alignment: alignment) { return run }
  guard let region = mapRegion(atLeast: count), let first = region.findRun(count, alignment: alignment, dirtyOnly: false)
  else { return nil }
  return take(region, first, count)
}

/// Takes free slices. The main lock must be held.
func take(_ region: Region, _ first: Int, _ count: Int) -> SliceRun {
  let free = mallow_region_free(region)
  let stale = mallow_region_stale(region)
  let dirtyMap = mallow_region_dirty(region)
  var dirty = count
  forEachWord(from: first, count: count) {
    free[$0] &= ~$1
    stale[$0] &= ~$1
    dirty &-= countBits(~dirtyMap[$0] & $1)
    return true
  }
  region.pointee.free_slices &-= UInt32(count)
  region.pointee.dirty_free_slices &-= UInt32(dirty)
  mallow_state.dirty_free &-= UInt64(dirty)
  mallow_state.used &+= UInt64(count)
  mallow_taken()[0] &+= UInt64(count)
  return SliceRun(region: region, first: first, count: count)
}

/// Lets searches look at a region again that has got free slices, `dirty` of them dirty. The main lock must be held.
func noteFreeSlices(_ region: Region, dirty: Int) {
  let record = UInt64(UInt(bitPattern: region))
  if let first = Region(bitPattern: UInt(mallow_state.first_free)), first.pointee.order > region.pointee.order {
    mallow_state.first_free = record
  }
  if dirty != 0, let first = Region(bitPattern: UInt(mallow_state.first_dirty)), first.pointee.order > region.pointee.order {
    mallow_state.first_dirty = record
  }
}

/// Zeroes the first `size` bytes of a run, touching only slices that may hold something else.
func zero(_ run: SliceRun, size: UInt64) {
  var offset: UInt64 = 0
  var slice = run.first
  while offset < size {
    let length = size &- offset < sliceSize ? size &- offset : sliceSize
    if test(mallow_region_dirty(run.region), slice) { memset(rawPointer(run.start &+ offset), 0, Int(length)) }
    offset &+= sliceSize
    slice &+= 1
  }
}

/// Gives slices back to their region. Their descriptors must say free already.
/// - Parameters:
///   - touched: bytes from the run's start that may be resident; the rest was never written.
///   - aged: they have been out of use for a while already, and need not wait for the purge delay.
/// - Returns: the time, in milliseconds.
@discardableResult
func freeSlices(_ run: SliceRun, touched: UInt64, aged: Bool = false) -> UInt64 {
  acquire(mallow_main_lock())
  run.markDirty(touched)
  let free = mallow_region_free(run.region)
  let dirtyMap = mallow_region_dirty(run.region)
  var dirty = run.count
  forEachWord(from: run.first, count: run.count) {
    free[$0] |= $1
    dirty &-= countBits(~dirtyMap[$0] & $1)
    return true
  }
  run.region.pointee.free_slices &+= UInt32(run.count)
  run.region.pointee.dirty_free_slices &+= UInt32(dirty)
  mallow_state.used &-= UInt64(run.count)
  let now = milliseconds()
  if !aged { run.region.pointee.last_free = now }
  mallow_state.dirty_free &+= UInt64(dirty)
  noteFreeSlices(run.region, dirty: dirty)
  noteRecent(run)
  purgeExcess(run.region, now: now)
  release(mallow_main_lock())
  return now
}

/// Extends a run by `extra` slices where the ones behind it are free.
func growSlices(_ run: SliceRun, by extra: Int) -> Bool {
  acquire(mallow_main_lock())
  defer { release(mallow_main_lock()) }
  let first = run.first &+ run.count
  guard first &+ extra <= Int(run.region.pointee.slices) else { return false }
  if lastClearBit(mallow_region_free(run.region), from: first, count: extra) != nil { return false }
  _ = take(run.region, first, extra)
  return true
}
