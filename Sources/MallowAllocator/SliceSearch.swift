// The search for free slices in the regions: one of just the length that was given back lately; else the first that is long enough, or
// for long runs the one that leaves the least over. The main lock must be held for all of it.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Takes a run of free slices; nil where no region has one.
func takeFree(_ count: Int, alignment: Int) -> SliceRun? {
  if alignment != 1 { return takeFirstFit(count, alignment: alignment) }
  if count >= Int(MALLOW_RECENT_LENGTHS) { return takeBestFit(count) }
  return takeRecent(count) ?? takeFirstFit(count, alignment: 1)
}

private func takeFirstFit(_ count: Int, alignment: Int) -> SliceRun? {
  var candidate = firstWithFreeSlices()
  var isFirst = true
  while let region = candidate {
    if isFirst && region.pointee.free_slices != 0 {
      mallow_state.first_free = UInt64(UInt(bitPattern: region))
      isFirst = false
    }
    if region.pointee.free_slices >= UInt32(count), let first = region.findRun(count, alignment: alignment, dirtyOnly: false) {
      return take(region, first, count)
    }
    candidate = region.next
  }
  return nil
}

/// Long blocks of many lengths would tear the regions to pieces where each took the first place that is long enough.
private func takeBestFit(_ count: Int) -> SliceRun? {
  var best: SliceRun?
  var candidate = firstWithFreeSlices()
  while let region = candidate {
    candidate = region.next
    if region.pointee.free_slices < UInt32(count) { continue }
    let free = mallow_region_free(region)
    let limit = Int(region.pointee.slices)
    var end = 0
    while let first = firstSetBit(free, from: end, limit: limit) {
      end = firstClearBit(free, from: first, limit: limit) ?? limit
      let length = end &- first
      if length == count { return take(region, first, count) }
      if length > count && length < (best?.count ?? .max) { best = SliceRun(region: region, first: first, count: length) }
    }
  }
  return best.map { take($0.region, $0.first, count) }
}

private func firstWithFreeSlices() -> Region? { Region(bitPattern: UInt(mallow_state.first_free)) ?? firstRegion() }

/// A run of just this length that was given back lately, where it is free still. This saves most searches. The bitmaps decide, so that
/// nothing has to be kept up to date.
private func takeRecent(_ count: Int) -> SliceRun? {
  let recent = mallow_recent(Int32(count))
  for index in 0..<Int(MALLOW_RECENT_RUNS) where recent[index] != 0 {
    let start = UInt64(recent[index]) &<< UInt64(MALLOW_SLICE_SHIFT)
    recent[index] = 0
    let region = Region(containing: start)
    let first = Int((start &- region.pointee.base) &>> UInt64(MALLOW_SLICE_SHIFT))
    let free = mallow_region_free(region)
    // Not out of the middle of a longer run, which would be two short ones afterwards.
    let isAtEdge = first == 0 || !test(free, first &- 1) || first &+ count == Int(region.pointee.slices) || !test(free, first &+ count)
    if isAtEdge && lastClearBit(free, from: first, count: count) == nil { return take(region, first, count) }
  }
  return nil
}

/// Notes a run that is given back.
func noteRecent(_ run: SliceRun) {
  if run.count >= Int(MALLOW_RECENT_LENGTHS) { return }
  let recent = mallow_recent(Int32(run.count))
  for index in 1..<Int(MALLOW_RECENT_RUNS) { recent[Int(MALLOW_RECENT_RUNS) &- index] = recent[Int(MALLOW_RECENT_RUNS) &- index &- 1] }
  recent[0] = UInt32(truncatingIfNeeded: run.start &>> UInt64(MALLOW_SLICE_SHIFT))
}

extension UnsafeMutablePointer where Pointee == mallow_region {
  /// The first run of `count` free slices that starts at a multiple of `alignment` slices of the address space.
  func findRun(_ count: Int, alignment: Int, dirtyOnly: Bool) -> Int? {
    let free = mallow_region_free(self)
    let dirty = mallow_region_dirty(self)
    let limit = Int(pointee.slices)
    if count == 1 && alignment == 1 {
      for index in 0..<Int(MALLOW_BITMAP_WORDS) {
        let candidates = dirtyOnly ? free[index] & dirty[index] : free[index]
        if candidates != 0 { return index &* 64 &+ candidates.trailingZeroBitCount }
      }
      return nil
    }
    let offset = Int(pointee.base &>> UInt64(MALLOW_SLICE_SHIFT)) & (alignment &- 1)
    var first = 0
    while first &+ count <= limit {
      if (first &+ offset) & (alignment &- 1) != 0 {
        first = ((first &+ offset &+ alignment &- 1) & ~(alignment &- 1)) &- offset
        continue
      }
      // The last taken slice rules out every start up to it.
      guard let taken = lastClearBit(free, from: first, count: count) else { return first }
      guard let next = firstSetBit(free, from: taken &+ 1, limit: limit) else { return nil }
      first = next
    }
    return nil
  }
}
