// Blocks with a trailer: those that the sampler chose, all of them under a full profile, and all in hardened mode. They live
// in pages of their own, which the fast paths never see, so that other blocks pay nothing for them.
// SPDX-License-Identifier: Apache-2.0
import CMallow

@usableFromInline let trailerSize: UInt64 = 16

/// A block with a trailer, or a span whose descriptor holds the same; 0 where there is no memory.
/// - Parameter record: whether to take the stack.
func allocateRecorded(_ heap: Heap, _ size: UInt64, alignment: UInt64, zeroed: Bool, record: Bool) -> UInt64 {
  let stack = record ? recordStack(heap) : 0
  let time = millisecondsSinceStart()
  let overhead = trailerSize &+ (mallow_introspection.hardened == 0 ? 0 : canarySize)
  // A block of no bytes too keeps its trailer apart from the words of a free block.
  let rounded = roundUp(max(size, 1) &+ overhead, to: alignment)
  var block: UInt64
  if rounded <= largestBlock && alignment <= sliceSize {
    var fresh = false
    guard let page = pageWithBlocks(heap, sizeClass(of: rounded), trailers: true, fresh: &fresh) else { return 0 }
    block = page.pointee.free
    if !page.hasFreeMark(block) { reportCorruption(block, "a free block was written to after its free") }
    let next = nextBlock(block)
    if next != 0 && !page.contains(block: next) {
      reportCorruption(block, "the link of a free block was overwritten")
    }
    page.pointee.free = next
    page.pointee.used &+= 1
    setWord(at: block &+ 8, 0)
    if zeroed { memset(rawPointer(block), 0, Int(size)) } else { setWord(at: block, 0) }
    let trailer = trailer(of: block, page)
    trailer.pointee.stack = stack
    trailer.pointee.milliseconds = UInt32(time)
    trailer.pointee.requested = size
    if mallow_introspection.hardened != 0 { writeCanary(block, page, size) }
    heap.pointee.trailer_allocations &+= 1
  } else {
    block = allocateSpan(heap, size, alignment: alignment, zeroed: zeroed)
    if block == 0 { return 0 }
    locate(block, doing: "malloc").page.pointee.free = profileWord(stack, time)
  }
  // Only now: a request that fails takes no memory.
  noteAllocation(stack, size: size)
  if stack != 0 { heap.pointee.last_recorded = block }
  return block
}

private func millisecondsSinceStart() -> UInt64 {
  UInt64(UInt32(truncatingIfNeeded: milliseconds() &- mallow_introspection.started))
}

/// What a span's descriptor holds of its allocation.
private func profileWord(_ stack: UInt32, _ time: UInt64) -> UInt64 { stack == 0 ? 0 : UInt64(stack) | time &<< 32 }

/// A span or huge block that was resized where it lies counts as freed and allocated anew, with the stack that resized it.
/// - Parameters:
///   - word: the descriptor's profile word before.
///   - oldSize: the bytes requested before.
func recordResized(_ heap: Heap, _ page: Page, from word: UInt64, _ oldSize: UInt64, to size: UInt64) {
  if mallow_introspection.profile == UInt32(MALLOW_PROFILE_OFF) { return }
  noteFree(profileWord: word, size: oldSize)
  var stack: UInt32 = 0
  if mallow_introspection.profile == UInt32(MALLOW_PROFILE_FULL) || sampleIsDue(heap, class: Int(MALLOW_CLASS_COUNT), size: size) {
    stack = recordStack(heap)
    noteAllocation(stack, size: size)
  }
  page.pointee.free = profileWord(stack, millisecondsSinceStart())
}

func trailer(of block: UInt64, _ page: Page) -> UnsafeMutablePointer<mallow_trailer> {
  UnsafeMutablePointer<mallow_trailer>(bitPattern: UInt(block &+ page.blockSize &- trailerSize)).unsafelyUnwrapped
}

/// The bytes that a block with a trailer offers: in hardened mode just those asked for.
func usableSizeBeforeTrailer(_ page: Page, _ block: UInt64) -> UInt64 {
  if mallow_introspection.hardened != 0 { return trailer(of: block, page).pointee.requested }
  return page.blockSize &- trailerSize
}

/// Takes note that a block with a trailer is being freed, and checks it in hardened mode.
func noteRecordedFree(_ page: Page, _ block: UInt64) {
  let trailer = trailer(of: block, page)
  if mallow_introspection.hardened != 0 { checkCanary(block, page) }
  if trailer.pointee.stack != 0 {
    noteFree(profileWord: UInt64(trailer.pointee.stack), size: trailer.pointee.requested, block: block)
  }
}
