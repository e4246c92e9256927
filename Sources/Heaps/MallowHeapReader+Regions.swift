// Steps one and two: the list of regions, and the page descriptors at the start of each.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import ProcessImage

/// The heads of a page's lists, as the descriptor holds them.
struct ListHeads {
  var free: UInt64 = 0
  var localFree: UInt64 = 0
  var remoteFree: UInt64 = 0
  /// Whether the page's owner was stopped while its lists may be in motion.
  var isBusy = false
}

/// A region record that has passed all checks.
struct Region {
  var record: mallow_region
  var base: UInt64 { record.base }
  var end: UInt64 { record.base + record.mapped }
  /// What it takes of the address space in slots of 64 MiB.
  var slots: ClosedRange<UInt64> { base >> PageTable.regionShift...(end - 1) >> PageTable.regionShift }
}

private let sliceSize = UInt64(1) << PageTable.sliceShift
private let regionSize = UInt64(1) << PageTable.regionShift
private let addressLimit = UInt64(1) << UInt64(MALLOW_ADDRESS_BITS)

extension MallowHeapReader {
  /// The regions and huge mappings in address order, without overlaps.
  mutating func readRegions() -> [Region] {
    var regions: [Region] = []
    var address = introspection.regions
    var loop = LoopDetector()
    while address != 0 {
      if loop.isRepeated(address) {
        log.note(.region, Address(address), "the list of regions comes back to \(Address(address)): it is damaged")
        break
      }
      guard let record = mirror.load(Address(address), as: mallow_region.self) else {
        log.note(.region, Address(address), "the region record at \(Address(address)) can't be read")
        break
      }
      if record.base != 0 {
        if let problem = problem(of: record) {
          log.note(.region, Address(record.base), "the region record at \(Address(address)) is damaged: \(problem)")
        } else {
          regions.append(Region(record: record))
        }
      }
      address = record.next
    }
    regions.sort { $0.base < $1.base }
    var kept: [Region] = []
    kept.reserveCapacity(regions.count)
    for region in regions {
      if let last = kept.last, region.base < last.end || region.slots.lowerBound <= last.slots.upperBound {
        log.note(.region, Address(region.base), "the regions at \(Address(last.base)) and \(Address(region.base)) overlap")
      } else {
        kept.append(region)
      }
    }
    return kept
  }

  private func problem(of record: mallow_region) -> String? {
    guard record.base < addressLimit, record.mapped <= addressLimit - record.base, record.mapped >= sliceSize,
      record.base % regionSize == 0
    else { return "it claims \(record.mapped) bytes at \(Address(record.base))" }
    // A base that is not mapped would make us reserve tables for nothing.
    guard mirror.isMapped(record.base, record.mapped) else {
      return "its \(record.mapped) bytes at \(Address(record.base)) are not mapped"
    }
    switch Int32(bitPattern: record.kind) {
    case MALLOW_MAP_REGION:
      guard record.mapped <= regionSize, UInt64(record.slices) * sliceSize <= record.mapped, record.slices > 0 else {
        return "it claims \(record.slices) slices in \(record.mapped) bytes"
      }
    case MALLOW_MAP_HUGE:
      guard record.block > record.base, record.block - record.base < min(regionSize, record.mapped),
        record.block % sliceSize == 0
      else { return "its block \(Address(record.block)) is not in its mapping" }
    case MALLOW_MAP_HUGE_ALIGNED:
      break
    default:
      return "its kind is \(record.kind)"
    }
    return nil
  }

  /// The pages of all regions in address order, the heads of their lists, and the table that finds them.
  mutating func readPages(_ regions: [Region]) -> ([HeapPage], [ListHeads], PageTable) {
    var pages: [HeapPage] = []
    var heads: [ListHeads] = []
    guard let first = regions.first, let last = regions.last else { return ([], [], PageTable()) }
    var table = PageTable(slots: first.slots.lowerBound...last.slots.upperBound)
    var nextBlock = 0

    func add(_ page: HeapPage, _ list: ListHeads) {
      pages.append(page)
      heads.append(list)
      nextBlock += page.blockCount
    }

    for region in regions {
      if Int32(bitPattern: region.record.kind) == MALLOW_MAP_REGION {
        table.addRegion(slot: region.slots.lowerBound)
        var slice = 1
        while slice < Int(region.record.slices) {
          let head = slice
          slice += 1
          let descriptorAddress = region.base + UInt64(head) * UInt64(MemoryLayout<mallow_page>.size)
          guard let descriptor = mirror.load(Address(descriptorAddress), as: mallow_page.self) else { continue }
          let start = region.base + UInt64(head) * sliceSize
          switch Int32(descriptor.kind) {
          case MALLOW_PAGE_BLOCKS, MALLOW_PAGE_SPAN:
            let count = max(1, Int(descriptor.slices))
            if let problem = problem(of: descriptor, slicesLeft: Int(region.record.slices) - head) {
              log.note(.page, Address(start), "the descriptor of the page at \(Address(start)) is damaged: \(problem)")
              continue
            }
            table.addPage(pages.count, slot: region.slots.lowerBound, slices: head..<head + count)
            add(page(descriptor, start: start, firstBlock: nextBlock), ListHeads(descriptor, busyHeaps: busyHeaps))
            slice = head + count
          default:
            continue
          }
        }
      } else {
        guard let (start, descriptor) = hugeBlock(of: region) else { continue }
        table.addHuge(pages.count, slots: region.slots)
        add(
          HeapPage(
            start: Address(start), blockSize: region.end - start, firstBlock: nextBlock, blockCount: 1, capacity: 1,
            kind: .huge, record: AllocationRecord(span: descriptor, usable: region.end - start)),
          ListHeads())
      }
    }
    return (pages, heads, table)
  }

  private func hugeBlock(of region: Region) -> (start: UInt64, mallow_page)? {
    if Int32(bitPattern: region.record.kind) == MALLOW_MAP_HUGE_ALIGNED { return (region.base, region.record.aligned_page) }
    let slice = (region.record.block - region.base) / sliceSize
    let address = Address(region.base + slice * UInt64(MemoryLayout<mallow_page>.size))
    // While the block is being made or given back, its descriptor says so and there is no block.
    guard let descriptor = mirror.load(address, as: mallow_page.self), Int32(descriptor.kind) == MALLOW_PAGE_HUGE
    else { return nil }
    return (region.record.block, descriptor)
  }

  private func problem(of page: mallow_page, slicesLeft: Int) -> String? {
    let size = UInt64(page.slices) * sliceSize
    guard page.slices > 0, Int(page.slices) <= slicesLeft else { return "it claims \(page.slices) slices" }
    guard page.block_size >= 16, page.block_size % 16 == 0 || Int32(page.kind) == MALLOW_PAGE_SPAN,
      UInt64(page.block_size) <= size
    else { return "its blocks are said to be \(page.block_size) bytes" }
    if Int32(page.kind) == MALLOW_PAGE_BLOCKS {
      guard page.carved <= page.capacity, UInt64(page.capacity) * UInt64(page.block_size) <= size else {
        return "it claims \(page.carved) of \(page.capacity) blocks of \(page.block_size) bytes"
      }
      guard page.owner & UInt64(MALLOW_OWNER_TRAILER) == 0 || page.block_size > 16 else {
        return "its blocks are too small for a trailer"
      }
    }
    return nil
  }

  private func page(_ page: mallow_page, start: UInt64, firstBlock: Int) -> HeapPage {
    if Int32(page.kind) == MALLOW_PAGE_SPAN {
      return HeapPage(
        start: Address(start), blockSize: UInt64(page.block_size), firstBlock: firstBlock, blockCount: 1, capacity: 1,
        kind: .span, record: AllocationRecord(span: page, usable: UInt64(page.block_size)))
    }
    return HeapPage(
      start: Address(start), blockSize: UInt64(page.block_size), firstBlock: firstBlock, blockCount: Int(page.carved),
      capacity: Int(page.capacity), kind: .blocks, sizeClass: page.size_class,
      hasTrailers: page.owner & UInt64(MALLOW_OWNER_TRAILER) != 0)
  }
}

extension ListHeads {
  init(_ page: mallow_page, busyHeaps: Set<UInt64>) {
    guard Int32(page.kind) == MALLOW_PAGE_BLOCKS else { return }
    free = page.free
    localFree = page.local_free
    remoteFree = page.remote_free & ~15
    isBusy = busyHeaps.contains(page.owner & ~UInt64(MALLOW_OWNER_FLAGS))
  }
}

extension AllocationRecord {
  /// The record of a large block, which its descriptor holds.
  init(span: mallow_page, usable: UInt64) {
    stack = UInt32(truncatingIfNeeded: span.free)
    milliseconds = UInt32(truncatingIfNeeded: span.free >> 32)
    // More than fits was never asked for.
    requested = span.local_free <= usable ? span.local_free : 0
  }
}
