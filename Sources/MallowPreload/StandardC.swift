// The allocation functions of C and POSIX, and glibc's own. The linker gives them their public names (see Package.swift).
// SPDX-License-Identifier: Apache-2.0
import CMallow
import MallowAllocator

@implementation @c public func mallow_malloc(_ size: Int) -> UnsafeMutableRawPointer? { allocate(size) }

@implementation @c public func mallow_free(_ block: UnsafeMutableRawPointer?) { deallocate(block) }

@implementation @c public func mallow_calloc(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer? { allocateZeroed(count, size) }

@implementation @c public func mallow_realloc(_ block: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
  reallocate(block, size)
}

@implementation @c
public func mallow_reallocarray(_ block: UnsafeMutableRawPointer?, _ count: Int, _ size: Int) -> UnsafeMutableRawPointer? {
  let (total, overflow) = UInt(bitPattern: count).multipliedReportingOverflow(by: UInt(bitPattern: size))
  return reallocate(block, Int(bitPattern: overflow ? UInt.max : total))
}

@implementation @c
public func mallow_posix_memalign(
  _ result: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ alignment: Int, _ size: Int
) -> Int32 {
  guard UInt(bitPattern: alignment) >= UInt(MemoryLayout<UnsafeRawPointer>.size), isPowerOfTwo(alignment) else { return EINVAL }
  guard let block = allocateAligned(size, alignment: alignment) else { return ENOMEM }
  result.pointee = block
  return 0
}

/// Like glibc, takes an alignment that is no power of two for the next one that is.
@implementation @c
public func mallow_memalign(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
  if isPowerOfTwo(alignment) { return allocateAligned(size, alignment: alignment) }
  let wanted = UInt(bitPattern: alignment)
  if wanted > UInt(Int.max) / 2 + 1 {
    __errno_location().pointee = EINVAL
    return nil
  }
  var power: UInt = 16
  while power < wanted { power <<= 1 }
  return allocateAligned(size, alignment: Int(power))
}

@implementation @c
public func mallow_valloc(_ size: Int) -> UnsafeMutableRawPointer? { allocateAligned(size, alignment: kernelPageSize()) }

@implementation @c
public func mallow_pvalloc(_ size: Int) -> UnsafeMutableRawPointer? {
  let page = UInt(kernelPageSize())
  let (sum, overflow) = UInt(bitPattern: size).addingReportingOverflow(page - 1)
  return allocateAligned(Int(bitPattern: overflow ? UInt.max : sum & ~(page - 1)), alignment: Int(page))
}

@implementation @c
public func mallow_malloc_usable_size(_ block: UnsafeMutableRawPointer?) -> Int { usableSize(of: block) }

@inline(__always)
private func isPowerOfTwo(_ value: Int) -> Bool { value != 0 && value & (value &- 1) == 0 }
