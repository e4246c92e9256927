// realloc.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Changes a block's size, moving it where it must. Without memory the block stays as it is, and nil is returned with `ENOMEM`.
/// A size of 0 frees the block and returns nil, as glibc does.
@inline(__always)
public func reallocate(_ old: UnsafeMutableRawPointer?, _ newSize: Int) -> UnsafeMutableRawPointer? {
  guard let old else { return allocate(newSize) }
  let block = address(old)
  let page = Page(ofSliceAt: block)
  if page.contains(block: block) {
    let usable = page.blockSize
    let size = UInt64(UInt(bitPattern: newSize))
    // Whether it lies between a half and the whole, in one comparison.
    if size &- usable / 2 <= usable / 2 && page.hasOrdinary(inUse: block) { return old }
    return reallocateMoving(old, newSize, page)
  }
  return reallocateOther(old, newSize)
}

/// A block of a page that does not stay where it is, unless its page has trailers.
@c(mallow_reallocate_moving) @inline(never)
private func reallocateMoving(_ old: UnsafeMutableRawPointer, _ newSize: Int, _ page: Page) -> UnsafeMutableRawPointer? {
  if !page.hasOrdinary(inUse: address(old)) || newSize == 0 || UInt(bitPattern: newSize) > UInt(largestRequest) {
    return reallocateOther(old, newSize)
  }
  let oldSize = Int(page.blockSize)
  guard let new = allocate(newSize &+ room(oldSize, newSize)) else { return nil }
  memcpy(new, old, min(oldSize, newSize))
  deallocate(old)
  return new
}

/// What a block gets beyond its new size: an eighth where it grows by a few bytes, as strings do that are appended to, since it is likely
/// to go on so and would otherwise move each time. What grows by more has room of the program's own making.
@inline(__always)
private func room(_ oldSize: Int, _ newSize: Int) -> Int { newSize > oldSize && newSize &- oldSize <= 32 ? oldSize / 8 : 0 }

/// Blocks that the short way does not know, and misuse.
@c(mallow_reallocate_other) @inline(never)
private func reallocateOther(_ old: UnsafeMutableRawPointer, _ newSize: Int) -> UnsafeMutableRawPointer? {
  if newSize == 0 {
    deallocate(old)
    return nil
  }
  let size = UInt64(UInt(bitPattern: newSize))
  let block = address(old)
  let found = locate(block, doing: "realloc")
  let usable = usableSize(block, found)
  if size > largestRequest { return outOfMemory() }
  guard let heap = currentHeap() else { return outOfMemory() }
  var staysSampled = false
  let word = found.page.pointee.free
  let oldSize = found.page.pointee.requested
  switch Int32(found.page.pointee.kind) {
  case MALLOW_PAGE_BLOCKS:
    if !found.page.hasTrailers {
      if fits(size, usable) { return old }
    } else if heap.pointee.slow_only == 0 {
      // A sampled block keeps its record just where a block that was not sampled would stay: else realloc would thin the samples.
      staysSampled = fits(size, blockSize(ofClass: sizeClass(of: trailer(of: block, found.page).pointee.requested)))
      if staysSampled && size <= usable { return old }
    }
  case MALLOW_PAGE_SPAN:
    if resizeSpan(found.page, to: size) {
      recordResized(heap, found.page, from: word, oldSize, to: size)
      return old
    }
  default:
    let record = found.record.unsafelyUnwrapped
    let moved = resizeHuge(heap, record, to: size)
    if moved != 0 {
      recordResized(heap, mallow_region_page(record), from: word, oldSize, to: size)
      return pointer(moved)
    }
  }
  guard let new = staysSampled ? allocateSampled(heap, size) : allocate(newSize) else { return nil }
  memcpy(new, old, Int(min(usable, size)))
  deallocate(old)
  return new
}

/// Whether a block is resized where it lies: unless more than half of it would be wasted.
private func fits(_ size: UInt64, _ block: UInt64) -> Bool { size <= block && size >= block / 2 }

private func allocateSampled(_ heap: Heap, _ size: UInt64) -> UnsafeMutableRawPointer? {
  heap.pointee.in_slow_path &+= 1
  let block = allocateRecorded(heap, size, alignment: 16, zeroed: false, record: true)
  heap.pointee.in_slow_path &-= 1
  return block == 0 ? outOfMemory() : pointer(block)
}
