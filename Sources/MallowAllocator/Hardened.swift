// MALLOW_HARDEN=1: what catches more misuse and costs time. Every block has a trailer with the size asked for, and the bytes
// between that size and the trailer are filled with a canary, so that an overrun by one byte is seen when the block is freed.
// A freed block is filled and held in quarantine; a change of the filling shows a write after the free.
// SPDX-License-Identifier: Apache-2.0
import CMallow

let canarySize: UInt64 = 8
private let canaryByte: UInt8 = 0xCA
private let freedByte: UInt8 = 0xDF

private func byte(at address: UInt64) -> UnsafeMutablePointer<UInt8> {
  UnsafeMutablePointer<UInt8>(bitPattern: UInt(address)).unsafelyUnwrapped
}

func writeCanary(_ block: UInt64, _ page: Page, _ size: UInt64) {
  memset(rawPointer(block &+ size), Int32(canaryByte), Int(page.blockSize &- trailerSize &- size))
}

/// Aborts where anything was written behind the bytes that were asked for.
func checkCanary(_ block: UInt64, _ page: Page) {
  let end = block &+ page.blockSize &- trailerSize
  let size = trailer(of: block, page).pointee.requested
  if size > end &- block &- canarySize { reportCorruption(block, "the program wrote beyond its end") }
  var at = block &+ size
  while at < end {
    if byte(at: at).pointee != canaryByte { reportCorruption(block, "the program wrote beyond its end") }
    at &+= 1
  }
}

/// Fills a freed block and puts it into the quarantine.
/// - Returns: the block that leaves the quarantine for it, or 0.
func quarantine(_ block: UInt64, _ heap: Heap) -> UInt64 {
  let page = Page(blockAt: block)
  let end = block &+ page.blockSize &- trailerSize
  setWord(at: block, 0)
  setWord(at: block &+ 8, page.freeMark(block))
  memset(rawPointer(block &+ 16), Int32(freedByte), Int(max(end, block &+ 16) &- block &- 16))
  let slot = Int(heap.pointee.quarantine_next) % Int(MALLOW_QUARANTINE_COUNT)
  heap.pointee.quarantine_next &+= 1
  let released = mallow_heap_quarantine(heap)[slot]
  mallow_heap_quarantine(heap)[slot] = block
  if released != 0 { checkFilling(released) }
  return released
}

private func checkFilling(_ block: UInt64) {
  let page = Page(blockAt: block)
  let end = block &+ page.blockSize &- trailerSize
  var written = word(at: block) != 0 || !page.hasFreeMark(block)
  var at = block &+ 16
  while at < end {
    if byte(at: at).pointee != freedByte { written = true }
    at &+= 1
  }
  if written { reportCorruption(block, "the program wrote to it after its free") }
}

/// Puts a block that leaves the quarantine on its page's list.
func releaseFromQuarantine(_ block: UInt64) {
  checkFilling(block)
  putBack(block, Page(blockAt: block))
}
