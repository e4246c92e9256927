// What a free block holds: in word 0 the next free block, in word 1 a mark by which a second free is recognised.
// In hardened mode the link is encoded, so that a stray write or an attacker can't direct it.
// SPDX-License-Identifier: Apache-2.0
import CMallow

@inline(__always) @usableFromInline
func freeMark(_ block: UInt64) -> UInt64 { block ^ mallow_state.key_word }

@inline(__always)
func nextBlock(_ block: UInt64) -> UInt64 {
  let link = word(at: block)
  return mallow_introspection.hardened == 0 ? link : link ^ block ^ mallow_state.key_word
}

@inline(__always)
func setNextBlock(_ block: UInt64, _ next: UInt64) {
  setWord(at: block, mallow_introspection.hardened == 0 ? next : next ^ block ^ mallow_state.key_word)
}

@inline(__always)
func markFree(_ block: UInt64, next: UInt64) {
  setNextBlock(block, next)
  setWord(at: block &+ 8, freeMark(block))
}
