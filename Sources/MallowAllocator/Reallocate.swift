// realloc and the aligned allocations.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Changes a block's size, moving it where it must. Without memory the block stays as it is, and nil is returned with `ENOMEM`.
/// A size of 0 frees the block and returns nil, as glibc does.
public func reallocate(_ old: UnsafeMutableRawPointer?, _ newSize: Int) -> UnsafeMutableRawPointer? {
  guard let old else { return allocate(newSize) }
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
  switch Int32(found.page.pointee.kind) {
  case MALLOW_PAGE_BLOCKS:
    // In place unless more than half of it would be wasted.
    if size <= usable && size >= usable / 2 && !found.page.hasTrailers { return old }
  case MALLOW_PAGE_SPAN:
    if resizeSpan(found.page, to: size, heap) { return old }
  default:
    let moved = resizeHuge(heap, found.record.unsafelyUnwrapped, to: size)
    if moved != 0 {
      return pointer(moved)
    }
  }
  guard let new = allocate(newSize) else { return nil }
  memcpy(new, old, Int(min(usable, size)))
  deallocate(old)
  return new
}

private func resizeSpan(_ page: Page, to size: UInt64, _ heap: Heap) -> Bool {
  // A recorded span is a new allocation, with the stack that made it grow.
  page.pointee.free == 0 && heap.pointee.slow_only == 0 && resizeSpan(page, to: size)
}

/// A block aligned to `alignment` bytes, a power of two; nil with `ENOMEM`.
public func allocateAligned(_ size: Int, alignment: Int) -> UnsafeMutableRawPointer? {
  let alignment = UInt64(UInt(bitPattern: alignment))
  let size = UInt64(UInt(bitPattern: size))
  if alignment <= 16 { return allocate(Int(bitPattern: UInt(size))) }
  if alignment > largestRequest || size > largestRequest &- alignment { return outOfMemory() }
  // Classes up to eight times the alignment are its multiples, larger ones step by more: a rounded size has an aligned class.
  if alignment <= directLimit && size <= directLimit, let block = allocateFast(Int(roundUp(max(size, 1), to: alignment))) {
    return block
  }
  return allocate(size, alignment: alignment, zeroed: false)
}
