// Runs of bits in a region's bitmaps, a word at a time.
// SPDX-License-Identifier: Apache-2.0
import CMallow

typealias Bitmap = UnsafeMutablePointer<UInt64>

/// Calls `body` with the index of each word that holds bits of the run, and with a mask of these bits, until it returns false.
@inline(__always)
func forEachWord(from first: Int, count: Int, _ body: (Int, UInt64) -> Bool) {
  var bit = first
  let end = first &+ count
  while bit < end {
    let within = bit & 63
    let taken = Swift.min(64 &- within, end &- bit)
    let mask = (taken == 64 ? ~0 : (1 &<< UInt64(taken)) &- 1) &<< UInt64(within)
    if !body(bit &>> 6, mask) { return }
    bit &+= taken
  }
}

@inline(__always)
func test(_ bitmap: Bitmap, _ bit: Int) -> Bool { bitmap[bit &>> 6] &>> UInt64(bit & 63) & 1 != 0 }

@inline(__always)
func set(_ bitmap: Bitmap, from first: Int, count: Int) {
  forEachWord(from: first, count: count) {
    bitmap[$0] |= $1
    return true
  }
}

@inline(__always)
func clear(_ bitmap: Bitmap, from first: Int, count: Int) {
  forEachWord(from: first, count: count) {
    bitmap[$0] &= ~$1
    return true
  }
}

/// How many bits of a word are set that mostly has none: counting takes fifteen instructions on the oldest processors of the architecture.
@inline(__always)
func countBits(_ word: UInt64) -> Int { word == 0 ? 0 : word.nonzeroBitCount }

/// How many bits of the run are set.
@inline(__always)
func setBits(_ bitmap: Bitmap, from first: Int, count: Int) -> Int {
  var missing = 0
  forEachWord(from: first, count: count) {
    missing &+= countBits(~bitmap[$0] & $1)
    return true
  }
  return count &- missing
}

/// The last clear bit of the run, or nil.
@inline(__always)
func lastClearBit(_ bitmap: Bitmap, from first: Int, count: Int) -> Int? {
  var last: Int?
  forEachWord(from: first, count: count) {
    let missing = ~bitmap[$0] & $1
    if missing != 0 { last = $0 &* 64 &+ 63 &- missing.leadingZeroBitCount }
    return true
  }
  return last
}

/// The first clear bit at or after `first`, below `limit`; nil for none.
@inline(__always)
func firstClearBit(_ bitmap: Bitmap, from first: Int, limit: Int) -> Int? {
  var found: Int?
  forEachWord(from: first, count: limit &- first) {
    let bits = ~bitmap[$0] & $1
    if bits != 0 { found = $0 &* 64 &+ bits.trailingZeroBitCount }
    return bits == 0
  }
  return found
}

/// The first set bit at or after `first`, below `limit`; nil for none.
@inline(__always)
func firstSetBit(_ bitmap: Bitmap, from first: Int, limit: Int) -> Int? {
  var found: Int?
  forEachWord(from: first, count: limit &- first) {
    let bits = bitmap[$0] & $1
    if bits != 0 { found = $0 &* 64 &+ bits.trailingZeroBitCount }
    return bits == 0
  }
  return found
}
