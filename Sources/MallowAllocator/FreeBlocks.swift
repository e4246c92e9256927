// What a free block holds: in word 0 the next free block, in word 1 a mark by which a second free is recognised. In pages with
// trailers the mark depends on a secret, and in hardened mode the link is encoded, so that a stray write or an attacker can't direct it.
// SPDX-License-Identifier: Apache-2.0
import CMallow

extension UnsafeMutablePointer where Pointee == mallow_page {
  /// What word 1 of a free block of this page holds. Programs never hold the address of a descriptor, unless they copy freed memory.
  @inline(__always)
  func freeMark(_ block: UInt64) -> UInt64 { hasTrailers ? block ^ mallow_introspection.key : address }

  @inline(__always)
  func hasFreeMark(_ block: UInt64) -> Bool { word(at: block &+ 8) == freeMark(block) }

  /// Whether `block`, any address at all, is certainly a block in use of this page, which has no trailers.
  @inline(__always)
  func hasInUse(block: UInt64) -> Bool { contains(block: block) && hasOrdinary(inUse: block) }

  /// The same for a block that the page contains.
  @inline(__always)
  func hasOrdinary(inUse block: UInt64) -> Bool { !hasTrailers && word(at: block &+ 8) != address }

  @inline(__always)
  func markFree(_ block: UInt64, next: UInt64) {
    setNextBlock(block, next)
    setWord(at: block &+ 8, freeMark(block))
  }

  /// Whether a block that bears the mark is free indeed: a live one bears it where the program copied a freed block's content.
  func isFree(_ block: UInt64) -> Bool {
    if hasTrailers || isHollow(block) { return true }
    // Another thread may be taking the lists over meanwhile: then look again.
    for _ in 0..<3 {
      if isOnList(block, pointee.free) || isOnList(block, mallow_load(remoteFree) & MALLOW_REMOTE_ADDRESS) { return true }
    }
    return false
  }

  private func isOnList(_ block: UInt64, _ head: UInt64) -> Bool {
    var link = head
    var steps = 0
    while contains(block: link) && steps < Int(pointee.carved) {
      if link == block { return true }
      link = nextBlock(link)
      steps &+= 1
    }
    return false
  }
}

@inline(__always)
func nextBlock(_ block: UInt64) -> UInt64 {
  let link = word(at: block)
  return mallow_introspection.hardened == 0 ? link : link ^ block ^ mallow_introspection.key
}

@inline(__always)
func setNextBlock(_ block: UInt64, _ next: UInt64) {
  setWord(at: block, mallow_introspection.hardened == 0 ? next : next ^ block ^ mallow_introspection.key)
}
