// The aligned allocations: small ones come from the page for their size rounded up to the alignment, by malloc's fast path.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// A block aligned to `alignment` bytes, a power of two; nil with `ENOMEM`.
@inline(__always)
public func allocateAligned(_ size: Int, alignment: Int) -> UnsafeMutableRawPointer? {
  if UInt(bitPattern: alignment) <= 16 { return allocate(size) }
  let mask = UInt(bitPattern: alignment) &- 1
  // Classes up to eight times the alignment are its multiples, larger ones step by more: a rounded size has an aligned class.
  guard mask < UInt(directLimit), UInt(bitPattern: size) <= UInt(directLimit) else { return allocateAlignedSlow(size, alignment) }
  let rounded = (UInt(bitPattern: size) &+ mask) & ~mask
  let page = Page(at: mallow_direct()[Int(truncatingIfNeeded: rounded &>> 4)])
  page.pointee.budget &-= 1
  if page.pointee.budget < 0 { return allocateAligned(size, alignment, from: page) }
  let block = page.pointee.free
  // A page that serves other sizes as well may lie otherwise.
  if UInt(block) & mask != 0 { return giveBackAndAllocate(size, alignment, page) }
  return take(block, from: page)
}

@c(mallow_give_back_and_allocate) @inline(never) @usableFromInline
func giveBackAndAllocate(_ size: Int, _ alignment: Int, _ page: Page) -> UnsafeMutableRawPointer? {
  page.pointee.budget &+= 1
  return allocateAlignedSlow(size, alignment)
}

/// Grants a page whose budget is used up its whole list where that is possible without more ado.
@c(mallow_allocate_aligned_from_page) @inline(never) @usableFromInline
func allocateAligned(_ size: Int, _ alignment: Int, from page: Page) -> UnsafeMutableRawPointer? {
  let heap: Heap = mallow_thread_heap
  page.undoCount()
  let block = page.pointee.free
  if page.pointee.budget != 0 || block == 0 || block & UInt64(alignment &- 1) != 0 || !grantList(page, of: heap) {
    return allocateAlignedSlow(size, alignment)
  }
  page.pointee.budget &-= 1
  return take(block, from: page)
}

@c(mallow_allocate_aligned_slow) @inline(never) @usableFromInline
func allocateAlignedSlow(_ size: Int, _ alignment: Int) -> UnsafeMutableRawPointer? {
  let alignment = UInt64(UInt(bitPattern: alignment))
  let size = UInt64(UInt(bitPattern: size))
  if alignment > largestRequest || size > largestRequest &- alignment { return outOfMemory() }
  return allocate(size, alignment: alignment, zeroed: false)
}

/// Grants a page its whole list, where nothing else is due.
@inline(__always)
private func grantList(_ page: Page, of heap: Heap) -> Bool {
  let count = Int(page.pointee.carved) &- Int(page.pointee.used)
  let index = page.sizeClass
  let bytes = Int64(count) &* Int64(page.blockSize)
  if count <= 0 || heap.pointee.until_clock <= 1 || mallow_heap_until_sample(heap)[index] < bytes { return false }
  heap.pointee.until_clock &-= 1
  grant(page, of: heap, min(count, grantLimit(heap, index)))
  return true
}
