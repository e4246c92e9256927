// Raw memory and the structures of the introspection layout, reached by address.
// SPDX-License-Identifier: Apache-2.0
import CMallow

public typealias Page = UnsafeMutablePointer<mallow_page>
public typealias Heap = UnsafeMutablePointer<mallow_heap>
typealias Region = UnsafeMutablePointer<mallow_region>

@usableFromInline let sliceSize: UInt64 = 1 << UInt64(MALLOW_SLICE_SHIFT)
@usableFromInline let regionSize: UInt64 = 1 << UInt64(MALLOW_REGION_SHIFT)

@inline(__always) @usableFromInline
func word(at address: UInt64) -> UInt64 {
  rawPointer(address).load(as: UInt64.self)
}

@inline(__always) @usableFromInline
func setWord(at address: UInt64, _ value: UInt64) {
  rawPointer(address).storeBytes(of: value, as: UInt64.self)
}

@inline(__always) @usableFromInline
func pointer(_ address: UInt64) -> UnsafeMutableRawPointer? {
  UnsafeMutableRawPointer(bitPattern: UInt(address))
}

/// A pointer to memory that is known to be there.
@inline(__always) @usableFromInline
func rawPointer(_ address: UInt64) -> UnsafeMutableRawPointer {
  UnsafeMutableRawPointer(bitPattern: UInt(address)).unsafelyUnwrapped
}

@inline(__always) @usableFromInline
func address(_ pointer: UnsafeMutableRawPointer?) -> UInt64 {
  UInt64(UInt(bitPattern: pointer))
}

@inline(__always) @usableFromInline
func roundUp(_ value: UInt64, to alignment: UInt64) -> UInt64 {
  (value &+ alignment &- 1) & ~(alignment &- 1)
}

extension UnsafeMutablePointer where Pointee == mallow_page {
  /// The descriptor for the slice that contains `address`. Any address leads to some descriptor: see ``contains(block:)``.
  @inline(__always) @usableFromInline
  init(ofSliceAt address: UInt64) {
    self.init(at: mallow_computed(mallow_state.page_table &+ ((address &>> 10) & mallow_state.page_mask)))
  }

  @inline(__always)
  init(at address: UInt64) { self = Page(bitPattern: UInt(address)).unsafelyUnwrapped }

  /// The page whose first slice has this page number.
  @inline(__always)
  init(number: UInt32) { self.init(ofSliceAt: UInt64(number) &<< UInt64(MALLOW_SLICE_SHIFT)) }

  @inline(__always) @usableFromInline
  var address: UInt64 { UInt64(UInt(bitPattern: self)) }

  /// The address of the page's first block.
  @inline(__always) @usableFromInline
  var start: UInt64 { pointee.start }

  /// The page number: its first address divided by the size of a slice.
  @inline(__always)
  var number: UInt32 { UInt32(truncatingIfNeeded: start &>> UInt64(MALLOW_SLICE_SHIFT)) }

  /// Whether a carved block of this page of equal blocks starts at `address`, which may be any address at all.
  ///
  /// The multiplier m exceeds 2^64 / size by less than 1, so that index * size * m is index * e for a small e, modulo 2^64, while any
  /// other distance, negative ones included, gives more than the limit: all are below 2^47 by their amount, and sizes below 2^17.
  /// (After Lemire, Kaser and Kurz, Faster Remainder by Direct Computation, 2019.)
  @inline(__always) @usableFromInline
  func contains(block address: UInt64) -> Bool {
    (address &- pointee.start) &* pointee.multiplier < pointee.limit
  }

  /// The heap that the page belongs to.
  @inline(__always)
  var heap: Heap { Heap(bitPattern: UInt(pointee.owner & ~UInt64(MALLOW_OWNER_FLAGS))).unsafelyUnwrapped }

  @inline(__always)
  var isFull: Bool { pointee.owner & UInt64(MALLOW_OWNER_FULL) != 0 }

  @inline(__always)
  var hasTrailers: Bool { pointee.owner & UInt64(MALLOW_OWNER_TRAILER) != 0 }

  @inline(__always)
  var sizeClass: Int { Int(pointee.size_class) }

  /// Bytes of each block of a page of equal blocks.
  @inline(__always)
  var blockSize: UInt64 { UInt64(mallow_sizes()[Int(pointee.size_class)]) }

  /// Slices of a page or span, or of a run in a heap's cache.
  @inline(__always)
  var sliceCount: Int {
    pointee.kind == UInt8(MALLOW_PAGE_BLOCKS) ? slices(ofBlocks: blockSize) : Int(pointee.slices)
  }

  /// Blocks that fit.
  @inline(__always)
  var capacity: Int { (sliceCount &<< Int(MALLOW_SLICE_SHIFT)) / Int(blockSize) }

  @inline(__always)
  var remoteFree: UnsafeMutablePointer<UInt64> { mallow_page_remote_free(self) }
}

extension UnsafeMutablePointer where Pointee == mallow_heap {
  @inline(__always) @usableFromInline
  var address: UInt64 { UInt64(UInt(bitPattern: self)) }

  /// Where there is no page to allocate from.
  @inline(__always)
  var noPage: Page { mallow_heap_none(self) }

  /// Whether this is the stand-in of a thread that has no heap yet.
  @inline(__always)
  var isEmptyHeap: Bool { self == mallow_no_heap() }
}
