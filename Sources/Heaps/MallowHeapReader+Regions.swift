// Steps one and two: the list of regions, and the descriptors of their pages.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import ProcessImage

/// The heads of a page's lists, as the descriptor holds them.
struct ListHeads {
  var free: UInt64 = 0
  var remoteFree: UInt64 = 0
  /// What marks a free block of the page, in pages without trailers: the descriptor's address.
  var mark: UInt64 = 0
  /// Blocks that malloc's fast path may take but has not.
  var budget = 0
  /// Where it is noted which parts of the page were given back, slice by slice.
  var hollow: Address?
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
        var slice = 0
        while slice < Int(region.record.slices) {
          let head = slice
          slice += 1
          let start = region.base + UInt64(head) * sliceSize
          let descriptorAddress = introspection.page_table &+ (start >> 10 & introspection.page_mask)
          guard let descriptor = mirror.load(Address(descriptorAddress), as: mallow_page.self) else { continue }
          switch Int32(descriptor.kind) {
          case MALLOW_PAGE_BLOCKS, MALLOW_PAGE_SPAN:
            let count = descriptor.sliceCount
            if let problem = problem(of: descriptor, at: start, slicesLeft: Int(region.record.slices) - head) {
              log.note(.page, Address(start), "the descriptor of the page at \(Address(start)) is damaged: \(problem)")
              continue
            }
            table.addPage(pages.count, slot: region.slots.lowerBound, slices: head..<head + count)
            var list = ListHeads(descriptor, at: descriptorAddress, busyHeaps: busyHeaps)
            if region.record.hollow != 0 {
              list.hollow = Address(region.record.hollow &+ UInt64(head * MemoryLayout<mallow_hollow>.size))
            }
            add(page(descriptor, start: start, firstBlock: nextBlock), list)
            slice = head + count
          case MALLOW_PAGE_CACHED:
            cachedSlices += min(Int(descriptor.slices), Int(region.record.slices) - head)
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
    // While the block is being made or given back, its descriptor says so and there is no block.
    guard Int32(region.record.page.kind) == MALLOW_PAGE_HUGE else { return nil }
    let isAligned = Int32(bitPattern: region.record.kind) == MALLOW_MAP_HUGE_ALIGNED
    return (isAligned ? region.base : region.record.block, region.record.page)
  }

  private func problem(of page: mallow_page, at start: UInt64, slicesLeft: Int) -> String? {
    guard page.start == start else { return "it claims to start at \(Address(page.start))" }
    if Int32(page.kind) == MALLOW_PAGE_SPAN {
      guard page.slices > 0, Int(page.slices) <= slicesLeft else { return "it claims \(page.slices) slices" }
      guard page.usable > 0, page.usable <= UInt64(page.slices) * sliceSize else { return "its block is said to be \(page.usable) bytes" }
      return nil
    }
    guard Int32(page.size_class) < MALLOW_CLASS_COUNT else { return "its size class is \(page.size_class)" }
    guard page.sliceCount <= slicesLeft else { return "it claims \(page.sliceCount) slices" }
    guard Int(page.carved) <= page.capacity else {
      return "it claims \(page.carved) of \(page.capacity) blocks of \(page.blockSize) bytes"
    }
    guard page.owner & UInt64(MALLOW_OWNER_TRAILER) == 0 || page.blockSize > 16 else {
      return "its blocks are too small for a trailer"
    }
    return nil
  }

  private func page(_ page: mallow_page, start: UInt64, firstBlock: Int) -> HeapPage {
    if Int32(page.kind) == MALLOW_PAGE_SPAN {
      return HeapPage(
        start: Address(start), blockSize: page.usable, firstBlock: firstBlock, blockCount: 1, capacity: 1,
        kind: .span, record: AllocationRecord(span: page, usable: page.usable))
    }
    return HeapPage(
      start: Address(start), blockSize: page.blockSize, firstBlock: firstBlock, blockCount: Int(page.carved),
      capacity: page.capacity, kind: .blocks, sizeClass: page.size_class,
      reserved: page.owner & UInt64(MALLOW_OWNER_TRAILER) != 0 ? 16 : 0)
  }
}

extension mallow_page {
  /// Bytes of a block of a page of equal blocks, by the formula in the layout. The size class must be one.
  fileprivate var blockSize: UInt64 {
    let sizeClass = UInt64(size_class)
    return sizeClass < 16 ? 16 * (sizeClass + 1) : (9 + sizeClass % 8) << (sizeClass / 8 + 3)
  }

  /// Slices of a page or span, at least one. A page's size class must be one.
  fileprivate var sliceCount: Int {
    if Int32(kind) == MALLOW_PAGE_SPAN { return max(1, Int(slices)) }
    return Int32(size_class) < MALLOW_CLASS_COUNT && blockSize > UInt64(MALLOW_SMALL_BLOCK) ? Int(MALLOW_LARGE_PAGE_SLICES) : 1
  }

  fileprivate var capacity: Int { sliceCount << Int(MALLOW_SLICE_SHIFT) / Int(blockSize) }
}

extension ListHeads {
  init(_ page: mallow_page, at address: UInt64, busyHeaps: Set<UInt64>) {
    guard Int32(page.kind) == MALLOW_PAGE_BLOCKS else { return }
    free = page.free
    mark = address
    // Another thread may have made it look used up, to bring the owner to its slow path.
    let isInterrupted = Int32(page.budget) < -MALLOW_BUDGET_INTERRUPTED / 2
    budget = max(0, min(Int(page.budget) + (isInterrupted ? Int(MALLOW_BUDGET_INTERRUPTED) : 0), Int(page.used)))
    remoteFree = page.remote_free & MALLOW_REMOTE_ADDRESS
    isBusy = busyHeaps.contains(page.owner & ~UInt64(MALLOW_OWNER_FLAGS))
  }
}

extension AllocationRecord {
  /// The record of a large block, which its descriptor holds.
  init(span: mallow_page, usable: UInt64) {
    stack = UInt32(truncatingIfNeeded: span.free)
    milliseconds = UInt32(truncatingIfNeeded: span.free >> 32)
    // More than fits was never asked for.
    requested = span.requested <= usable ? span.requested : 0
  }
}
