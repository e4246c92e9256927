// Size classes: multiples of 16 bytes up to 256, then eight to each doubling up to 64 KiB, so that above 256 bytes no block
// is more than an eighth larger than what was asked for.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Requests up to this many bytes find their page through ``mallow_thread_direct``.
@usableFromInline let directLimit: UInt64 = 1024
/// Requests up to this many bytes come from pages of equal blocks, larger ones are spans of slices.
@usableFromInline let largestBlock: UInt64 = 65536
/// Requests above this many bytes get a mapping of their own.
@usableFromInline let largestSpan: UInt64 = 32 << 20
/// Larger requests fail at once: no address space has room for them.
@usableFromInline let largestRequest: UInt64 = 1 << UInt64(MALLOW_ADDRESS_BITS)

/// The class whose blocks are the smallest that hold `size` bytes.
/// - Parameter size: at most ``largestBlock`` bytes.
@inline(__always) @usableFromInline
func sizeClass(of size: UInt64) -> Int {
  if size <= 256 { return size == 0 ? 0 : Int((size &- 1) &>> 4) }
  return sizeClass(ofLarge: size)
}

/// The same for sizes above 256 bytes.
@inline(__always) @usableFromInline
func sizeClass(ofLarge size: UInt64) -> Int {
  let last = size &- 1
  let doubling = 63 &- last.leadingZeroBitCount
  return 16 &+ (doubling &- 8) &* 8 &+ Int((last &>> UInt64(truncatingIfNeeded: doubling &- 3)) & 7)
}

/// The bytes of a block of class `index`.
@inline(__always) @usableFromInline
func blockSize(ofClass index: Int) -> UInt64 { UInt64(mallow_sizes()[index]) }

/// Slices of a page of blocks of `size` bytes.
@inline(__always)
func slices(ofBlocks size: UInt64) -> Int {
  size <= UInt64(MALLOW_SMALL_BLOCK) ? 1 : Int(MALLOW_LARGE_PAGE_SLICES)
}
