// malloc: the fast path takes the first block of the current page's list; everything else is the slow path.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// A block of at least `size` bytes, aligned to 16, or nil with `ENOMEM`.
@inline(__always)
public func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
  allocateFast(size) ?? allocateSlow(UInt64(UInt(bitPattern: size)))
}

/// The fast path alone: nil where the current page has no free block or the size is not one of its classes.
@inline(__always)
public func allocateFast(_ size: Int) -> UnsafeMutableRawPointer? {
  let size = UInt64(UInt(bitPattern: size))
  guard size <= directLimit else { return nil }
  let index = Int(truncatingIfNeeded: (size &+ 15) &>> 4)
  let page = Page(bitPattern: UInt(mallow_heap_direct(mallow_thread_heap)[index])).unsafelyUnwrapped
  let block = page.pointee.free
  return block == 0 ? nil : pointer(take(block, from: page))
}

/// Takes the first block of a page's list.
@inline(__always)
func take(_ block: UInt64, from page: Page) -> UInt64 {
  page.pointee.free = word(at: block)
  page.pointee.used &+= 1
  // Neither marked as free any more, nor holding a link that a leak search would take for the program's pointer.
  rawPointer(block).storeBytes(of: SIMD2<UInt64>(), as: SIMD2<UInt64>.self)
  return block
}

@c(mallow_allocate_slow) @inline(never)
func allocateSlow(_ size: UInt64) -> UnsafeMutableRawPointer? {
  allocate(size, alignment: 16, zeroed: false)
}

/// A block whose memory is zero, or nil with `ENOMEM`, also where the product overflows.
@inline(__always)
public func allocateZeroed(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer? {
  let (total, overflow) = UInt(bitPattern: count).multipliedReportingOverflow(by: UInt(bitPattern: size))
  if overflow { return outOfMemory() }
  if UInt64(total) <= directLimit {
    guard let block = allocate(Int(bitPattern: total)) else { return nil }
    return memset(block, 0, Int(total))
  }
  return allocateZeroedSlow(UInt64(total))
}

@c(mallow_allocate_zeroed_slow) @inline(never)
func allocateZeroedSlow(_ size: UInt64) -> UnsafeMutableRawPointer? {
  allocate(size, alignment: 16, zeroed: true)
}

func outOfMemory() -> UnsafeMutableRawPointer? {
  __errno_location().pointee = ENOMEM
  return nil
}

/// Every allocation that the fast path does not serve.
/// - Parameter alignment: a power of two, at least 16.
@inline(never)
func allocate(_ size: UInt64, alignment: UInt64, zeroed: Bool) -> UnsafeMutableRawPointer? {
  if size > largestRequest { return outOfMemory() }
  guard let heap = currentHeap() else { return outOfMemory() }
  heap.pointee.in_slow_path &+= 1
  tick(heap)
  var block: UInt64
  if heap.pointee.slow_only != 0 {
    let record = mallow_introspection.profile == UInt32(MALLOW_PROFILE_FULL) || sampleIsDue(heap, class: sampleClass(of: size), size: size)
    block = allocateRecorded(heap, size, alignment: alignment, zeroed: zeroed, record: record)
  } else {
    block = 0
    let rounded = alignment == 16 ? size : roundUp(size == 0 ? 1 : size, to: alignment)
    if rounded <= largestBlock && alignment <= sliceSize {
      block = allocateBlock(heap, size, sizeClass(of: rounded), alignment: alignment, zeroed: zeroed)
      // Where there is no room for a page of many blocks there may be for this one.
      if block == 0 && rounded > 8192 { block = allocateSpan(heap, size, alignment: alignment, zeroed: zeroed) }
    } else if sampleIsDue(heap, class: Int(MALLOW_CLASS_COUNT), size: size) {
      block = allocateRecorded(heap, size, alignment: alignment, zeroed: zeroed, record: true)
    } else {
      block = allocateSpan(heap, size, alignment: alignment, zeroed: zeroed)
    }
  }
  heap.pointee.in_slow_path &-= 1
  return block == 0 ? outOfMemory() : pointer(block)
}

/// A block of a page: refills the page's list first where it is empty.
private func allocateBlock(_ heap: Heap, _ size: UInt64, _ sizeClass: Int, alignment: UInt64, zeroed: Bool) -> UInt64 {
  let current = Page(bitPattern: UInt(mallow_heap_current(heap)[sizeClass])).unsafelyUnwrapped
  if current.pointee.free != 0 {
    let block = take(current.pointee.free, from: current)
    if zeroed { memset(rawPointer(block), 0, Int(size)) }
    return block
  }
  var fresh = false
  guard let page = pageWithBlocks(heap, sizeClass, trailers: false, fresh: &fresh) else { return 0 }
  let isRefilled = page.pointee.free == 0
  if isRefilled && !refill(page, heap) {
    // The size is rounded as it was for the class, so that the weight of the sample is that class's.
    let rounded = alignment == 16 ? size : roundUp(max(size, 1), to: alignment)
    return allocateRecorded(heap, rounded, alignment: alignment, zeroed: zeroed, record: true)
  }
  // A long list from before would keep this heap from the clock, for which it waits while memory is to be given back.
  if isRefilled || heap.pointee.purge_pending == 0 { setCurrent(heap, sizeClass, page) }
  let block = take(page.pointee.free, from: page)
  if zeroed {
    // A block that was carved just now from clean memory holds nothing but its link.
    let untouched = fresh && page.pointee.free == 0 && isCleanPage(page)
    memset(rawPointer(block), 0, untouched ? 16 : Int(size))
  }
  return block
}

private func isCleanPage(_ page: Page) -> Bool {
  let start = page.start
  let region = region(containing: start)
  return isClean(region, Int((start &- region.pointee.base) &>> UInt64(MALLOW_SLICE_SHIFT)), Int(page.pointee.slices))
}

/// The first page of a queue that has a free block, a fresh one if need be; nil where there is no memory.
/// - Parameter fresh: set where the blocks found were carved just now.
func pageWithBlocks(_ heap: Heap, _ sizeClass: Int, trailers: Bool, fresh: inout Bool) -> Page? {
  var lookedAtRemote = false
  while true {
    guard let page = frontPage(heap, sizeClass, trailers: trailers) else {
      if !lookedAtRemote {
        lookedAtRemote = true
        takeBackRemotePages(heap)
        continue
      }
      if makePage(heap, sizeClass, trailers: trailers) == nil { return nil }
      continue
    }
    if page.pointee.free != 0 || page.pointee.local_free != 0 { return page }
    collectRemote(page)
    if page.pointee.local_free != 0 { return page }
    if page.pointee.carved < page.pointee.capacity {
      carve(page)
      fresh = true
      return page
    }
    _ = markFull(page, of: heap)
  }
}

/// Hands freed and freshly carved blocks to the list that malloc takes from: as many as there are before the next sample.
/// - Returns: false where the very next block of this class is to be sampled.
private func refill(_ page: Page, _ heap: Heap) -> Bool {
  let size = Int64(page.pointee.block_size)
  let available = Int64(page.pointee.carved) &- Int64(page.pointee.used)
  let untilSample = mallow_heap_until_sample(heap) + page.sizeClass
  var count = available
  if untilSample.pointee < available &* size {
    count = untilSample.pointee / size
    if count == 0 {
      untilSample.pointee = nextSample(heap)
      return false
    }
  }
  // Short lists bring the heap back to the slow path soon, where it looks at the clock.
  if heap.pointee.purge_pending != 0 && count > 16 { count = 16 }
  untilSample.pointee &-= count &* size
  mallow_heap_handed_out(heap)[page.sizeClass] &+= UInt64(count)
  if count == available {
    page.pointee.free = page.pointee.local_free
    page.pointee.local_free = 0
  } else {
    var last = page.pointee.local_free
    for _ in 1..<max(count, 1) { last = word(at: last) }
    let rest = word(at: last)
    page.pointee.free = page.pointee.local_free
    page.pointee.local_free = rest
    mallow_publish()
    setWord(at: last, 0)
  }
  return true
}
