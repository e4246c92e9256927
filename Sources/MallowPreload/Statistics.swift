// glibc's functions that ask about the heap or tune it (mallinfo(3), malloc_info(3), malloc_stats(3), malloc_trim(3), mallopt(3)).
// SPDX-License-Identifier: Apache-2.0
import CMallow
import MallowAllocator

/// glibc keeps `padding` bytes at the top of the heap; here nothing is kept.
@implementation @c
public func mallow_malloc_trim(_ padding: Int) -> Int32 { trim() ? 1 : 0 }

/// None of glibc's parameters has a counterpart: all are accepted, as glibc accepts what it knows.
@implementation @c
public func mallow_mallopt(_ parameter: Int32, _ value: Int32) -> Int32 { 1 }

@implementation @c
public func mallow_mallinfo2() -> mallinfo2 {
  let figures = heapFigures()
  var info = mallow_no_mallinfo2()
  info.arena = Int(figures.mapped &- figures.hugeBytes)
  info.ordblks = Int(figures.freeBlocks)
  info.hblks = Int(figures.hugeBlocks)
  info.hblkhd = Int(figures.hugeBytes)
  info.uordblks = Int(figures.liveBytes)
  info.fordblks = Int(figures.mapped &- figures.hugeBytes &- min(figures.liveBytes, figures.mapped &- figures.hugeBytes))
  info.keepcost = Int(figures.retained)
  return info
}

/// The same in 32 bits, which wrap around as glibc's do.
@implementation @c
public func mallow_mallinfo() -> mallinfo {
  let wide = mallow_mallinfo2()
  var info = mallow_no_mallinfo()
  info.arena = Int32(truncatingIfNeeded: wide.arena)
  info.ordblks = Int32(truncatingIfNeeded: wide.ordblks)
  info.hblks = Int32(truncatingIfNeeded: wide.hblks)
  info.hblkhd = Int32(truncatingIfNeeded: wide.hblkhd)
  info.uordblks = Int32(truncatingIfNeeded: wide.uordblks)
  info.fordblks = Int32(truncatingIfNeeded: wide.fordblks)
  info.keepcost = Int32(truncatingIfNeeded: wide.keepcost)
  return info
}

@implementation @c
public func mallow_malloc_stats() { printFigures() }

/// Writes an XML document in the spirit of glibc's, with the sums for one heap.
@implementation @c
public func mallow_malloc_info(_ options: Int32, _ stream: UnsafeMutablePointer<FILE>) -> Int32 {
  if options != 0 { return EINVAL }  // like glibc, whatever the manual says of errno
  let figures = heapFigures()
  return mallow_write_information(
    stream, figures.mapped, figures.liveBytes, figures.liveBlocks, figures.freeBlocks, figures.retained, figures.hugeBlocks,
    figures.hugeBytes)
}
