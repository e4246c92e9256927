// Sums over the whole heap, for the functions that report them. They are gathered by walking all descriptors, and may be off by
// what other threads do meanwhile.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// What the heap holds, in bytes and blocks.
public struct HeapFigures {
  /// Address space mapped for blocks, huge ones included.
  public var mapped: UInt64 = 0
  /// Blocks in use, huge ones not included.
  public var liveBlocks: UInt64 = 0
  public var liveBytes: UInt64 = 0
  /// Blocks that are carved and free.
  public var freeBlocks: UInt64 = 0
  /// Free slices that may still be resident.
  public var retained: UInt64 = 0
  public var hugeBlocks: UInt64 = 0
  public var hugeBytes: UInt64 = 0
}

public func heapFigures() -> HeapFigures {
  var figures = HeapFigures()
  acquire(mallow_main_lock())
  defer { release(mallow_main_lock()) }
  var candidate = firstRegion()
  while let region = candidate {
    candidate = region.next
    if region.pointee.base == 0 { continue }
    figures.mapped &+= region.pointee.mapped
    if region.pointee.kind != UInt32(MALLOW_MAP_REGION) {
      figures.hugeBlocks &+= 1
      figures.hugeBytes &+= region.pointee.mapped
      continue
    }
    figures.retained &+= UInt64(region.pointee.dirty_free_slices) &<< UInt64(MALLOW_SLICE_SHIFT)
    for slice in 0..<Int(region.pointee.slices) {
      let page = Page(ofSliceAt: region.pointee.base) + slice
      switch Int32(page.pointee.kind) {
      case MALLOW_PAGE_BLOCKS:
        let used = UInt64(min(max(Int(page.pointee.used) &- page.budgetLeft &- page.hollowBlocks, 0), Int(page.pointee.carved)))
        figures.liveBlocks &+= used
        figures.liveBytes &+= used &* page.blockSize
        figures.freeBlocks &+= UInt64(page.pointee.carved) &- used
      case MALLOW_PAGE_SPAN:
        figures.liveBlocks &+= 1
        figures.liveBytes &+= page.pointee.usable
      case MALLOW_PAGE_CACHED:
        figures.retained &+= UInt64(page.pointee.slices) &<< UInt64(MALLOW_SLICE_SHIFT)
      default: break
      }
    }
  }
  takeOutQuarantine(&figures)
  return figures
}

/// Blocks in quarantine were freed by the program.
private func takeOutQuarantine(_ figures: inout HeapFigures) {
  if mallow_introspection.hardened == 0 { return }
  var candidate = firstHeap()
  while let heap = candidate {
    candidate = heap.next
    for slot in 0..<Int(MALLOW_QUARANTINE_COUNT) {
      let block = mallow_heap_quarantine(heap)[slot]
      let size = block == 0 ? 0 : Page(blockAt: block).blockSize
      if size == 0 || figures.liveBytes < size { continue }
      figures.liveBlocks &-= 1
      figures.liveBytes &-= size
      figures.freeBlocks &+= 1
    }
  }
}

/// Prints the sums to standard error, as malloc_stats(3) does.
@c(mallow_print_figures)
public func printFigures() {
  let figures = heapFigures()
  mallow_print_statistics(
    figures.mapped, figures.liveBytes, figures.liveBlocks, figures.freeBlocks, figures.retained, figures.hugeBlocks, figures.hugeBytes)
}

/// Bytes of a page of the kernel.
public func kernelPageSize() -> Int {
  mallow_state.kernel_page == 0 ? sysconf(Int32(_SC_PAGESIZE)) : Int(mallow_state.kernel_page)
}
