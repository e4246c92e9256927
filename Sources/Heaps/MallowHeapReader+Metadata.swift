// Steps four and five: the threads' heaps, the allocator's own memory, and the totals.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import ProcessImage

extension MallowHeapReader {
  mutating func readThreadHeaps() -> [mallow_heap] {
    var heaps: [mallow_heap] = []
    var address = introspection.heaps
    var loop = LoopDetector()
    while address != 0 {
      if loop.isRepeated(address) {
        log.note(.threadHeap, Address(address), "the list of heaps comes back to \(Address(address)): it is damaged")
        break
      }
      guard let heap = mirror.load(Address(address), as: mallow_heap.self) else {
        log.note(.threadHeap, Address(address), "the heap record at \(Address(address)) can't be read")
        break
      }
      heaps.append(heap)
      let isTended = [UInt64(MALLOW_HEAP_CLAIMED), UInt64(MALLOW_HEAP_FROZEN)].contains(heap.state)
      if heap.in_slow_path != 0 || isTended { busyHeaps.insert(address) }
      address = heap.next
    }
    return heaps
  }

  /// The chunks of metadata.
  mutating func readMetadata() -> [Range<Address>] {
    var chunks: [Range<Address>] = []
    var address = introspection.metadata
    var loop = LoopDetector()
    while address != 0 {
      if loop.isRepeated(address) {
        log.note(.metadata, Address(address), "the list of metadata comes back to \(Address(address)): it is damaged")
        break
      }
      guard let next = mirror.word(Address(address)), let size = mirror.word(Address(address) + 8),
        size > 0, mirror.isMapped(address, size)
      else {
        log.note(.metadata, Address(address), "the metadata chunk at \(Address(address)) can't be read")
        break
      }
      chunks.append(Address(address)..<Address(address) + size)
      address = next
    }
    return chunks
  }

  /// All book-keeping: chunks of metadata, tables, and what precedes huge blocks. In address order and merged.
  func metadataRanges(_ regions: [Region], _ metadata: [Range<Address>]) -> [Range<Address>] {
    var ranges = metadata
    for region in regions where Int32(bitPattern: region.record.kind) == MALLOW_MAP_HUGE {
      ranges.append(Address(region.base)..<Address(region.record.block))
    }
    func add(_ start: UInt64, _ count: UInt64) {
      if start != 0, count > 0, count <= UInt64.max - start { ranges.append(Address(start)..<Address(start) + count) }
    }
    add(introspection.region_map, UInt64(1) << UInt64(MALLOW_ADDRESS_BITS - MALLOW_REGION_SHIFT))
    if introspection.page_mask <= UInt64(1) << UInt64(MALLOW_WINDOW_BITS - 10) { add(introspection.page_table, introspection.page_mask + 64) }
    add(introspection.stacks, introspection.stacks_size)
    add(introspection.stack_buckets, UInt64(MALLOW_STACK_BUCKETS) * 4)
    return ranges.merged()
  }

  func statistics(
    _ heap: Heap, _ regions: [Region], _ threadHeaps: [mallow_heap], _ metadata: [Range<Address>]
  ) -> HeapStatistics {
    var result = HeapStatistics()
    result.addPages(of: heap)
    for region in regions where Int32(bitPattern: region.record.kind) == MALLOW_MAP_REGION {
      result.retained &+= region.dirtyFreeBytes
    }
    result.retained &+= UInt64(cachedSlices) << PageTable.sliceShift
    result.mapped = regions.reduce(0) { $0 &+ $1.record.mapped }
    result.metadata = metadata.reduce(0) { $0 &+ ($1.upperBound - $1.lowerBound) }
    let descriptors = regions.filter { Int32(bitPattern: $0.record.kind) == MALLOW_MAP_REGION }.reduce(0) { $0 + UInt64($1.record.slices) }
    result.metadata &+= descriptors * UInt64(MemoryLayout<mallow_page>.size)
    result.metadata &+= introspection.stacks_used
    var allocations: UInt64 = 0
    for heap in threadHeaps {
      withUnsafeBytes(of: heap.handed_out) { bytes in
        for count in bytes.bindMemory(to: UInt64.self) { allocations &+= count }
      }
      allocations &+= heap.trailer_allocations &+ heap.span_allocations
    }
    // The counters of a damaged heap, or of one stopped in the middle of an allocation, never hide live blocks.
    result.allocations = max(allocations > grantedBlocks ? allocations - grantedBlocks : 0, UInt64(result.live.blocks))
    result.frees = result.allocations - UInt64(result.live.blocks)
    result.threadHeaps = threadHeaps.count
    result.stacksDropped = introspection.stacks_dropped
    return result
  }
}

extension Region {
  /// Bytes of free slices that may still be resident.
  fileprivate var dirtyFreeBytes: UInt64 {
    var slices = 0
    withUnsafeBytes(of: record.free) { free in
      withUnsafeBytes(of: record.dirty) { dirty in
        for (a, b) in zip(free.bindMemory(to: UInt64.self), dirty.bindMemory(to: UInt64.self)) {
          slices += (a & b).nonzeroBitCount
        }
      }
    }
    return UInt64(min(slices, Int(record.slices))) << PageTable.sliceShift
  }
}

extension [Range<Address>] {
  /// The same memory in address order, touching and overlapping ranges joined.
  public func merged() -> [Range<Address>] {
    var result: [Range<Address>] = []
    for range in sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = result.last, range.lowerBound <= last.upperBound {
        result[result.count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
      } else {
        result.append(range)
      }
    }
    return result
  }
}
