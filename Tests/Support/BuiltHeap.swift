// Lays out a heap in a built image exactly as the allocator does, by CMallow/mallow_layout.h.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import Heaps
import ProcessImage

/// A Mallow heap in plain memory. Blocks are carved from pages of one slice in order.
public final class BuiltHeap {
  public let image = BuiltImage()
  public let introspection = Address(0x7fff_0000_0000)
  public let key: UInt64 = 0x5bd1_e995_9e37_79b9
  public let hardened: Bool
  /// Where threads' heaps, region records and stacks lie.
  public let metadata = Address(0x7ffe_0000_0000)
  let stackTable = Address(0x7ffd_0000_0000)
  let buckets = Address(0x7ffc_0000_0000)
  let regionMap = Address(0x7ffb_0000_0000)
  let hollowTables = Address(0x7ff9_0000_0000)
  /// For a window of 4 GiB, which all regions here are in.
  public let pageTable = Address(0x7ffa_0000_0000)
  let pageMask: UInt64 = 1 << 22 - 64
  let heapRecord: Address
  private var nextRecord: Address
  private var nextStack: UInt32 = 1
  private var lastRegionRecord = Address(0)
  private var regions: [(base: UInt64, slices: Int, used: Int)] = []
  private var nextRegion: UInt64 = 0x7f00_0000_0000
  private let slicesPerRegion: Int
  /// The page being carved, by block size and whether it has trailers.
  private var open: [Key: Address] = [:]
  private struct Key: Hashable { var size: UInt64, trailers: Bool }

  public enum List { case free, remote }

  public init(hardened: Bool = false, slicesPerRegion: Int = 16) {
    self.hardened = hardened
    self.slicesPerRegion = slicesPerRegion
    heapRecord = metadata + 16
    nextRecord = metadata + 64 * 1024
    image.map(introspection.rawValue, size: 4096, name: "/usr/lib/libmallow.so", inode: 7)
    image.map(metadata.rawValue, size: 1 << 20)
    image.map(stackTable.rawValue, size: 1 << 20)
    image.map(buckets.rawValue, size: UInt64(MALLOW_STACK_BUCKETS) * 4)
    image.map(regionMap.rawValue, size: 1 << 21)
    image.map(hollowTables.rawValue, size: 1 << 20)
    image.map(pageTable.rawValue, size: pageMask + 64)
    image.write(words: [0, 1 << 20], at: metadata)
    var record = mallow_introspection()
    record.magic = UInt64(MALLOW_LAYOUT_MAGIC)
    record.version = UInt32(MALLOW_LAYOUT_VERSION)
    record.size = UInt32(MemoryLayout<mallow_introspection>.size)
    record.region_map = regionMap.rawValue
    record.page_table = pageTable.rawValue
    record.page_mask = pageMask
    record.heaps = heapRecord.rawValue
    record.key = key
    record.hardened = hardened ? 1 : 0
    record.metadata = metadata.rawValue
    record.stacks = stackTable.rawValue
    record.stacks_size = 1 << 20
    record.stacks_used = 8
    record.stack_buckets = buckets.rawValue
    image.write(record, at: introspection)
  }

  /// Reads the heap as the command does.
  public func read() throws -> MallowHeap { try MallowHeap(MemoryMirror(image), introspection: introspection) }

  public func edit<T: BitwiseCopyable>(_ type: T.Type, at address: Address, _ change: (inout T) -> Void) {
    var value = image.load(address, as: type)!
    change(&value)
    image.write(value, at: address)
  }

  public func editIntrospection(_ change: (inout mallow_introspection) -> Void) {
    edit(mallow_introspection.self, at: introspection, change)
  }

  public func editHeap(_ change: (inout mallow_heap) -> Void) { edit(mallow_heap.self, at: heapRecord, change) }

  private func descriptor(ofSliceAt address: UInt64) -> Address { pageTable + (address >> 10 & pageMask) }

  /// The descriptor of the page that an address in a region belongs to; of its first slice.
  public func descriptor(of address: Address) -> Address {
    let found = descriptor(ofSliceAt: address.rawValue)
    let page = image.load(found, as: mallow_page.self)!
    return Int32(page.kind) == MALLOW_PAGE_TAIL ? found - UInt64(page.slices) * 64 : found
  }

  /// The address of the region record that was added last.
  public var newestRegion: Address { lastRegionRecord }

  private func addRecord(_ region: mallow_region) {
    var region = region
    region.next = lastRegionRecord.rawValue
    lastRegionRecord = nextRecord
    nextRecord = nextRecord + 1024
    image.write(region, at: lastRegionRecord)
    editIntrospection { $0.regions = lastRegionRecord.rawValue }
  }

  /// Takes `count` adjoining slices and returns their region's base and the first slice's number.
  private func takeSlices(_ count: Int) -> (base: UInt64, slice: Int) {
    if let last = regions.last, last.used + count <= last.slices {
      regions[regions.count - 1].used += count
      return (last.base, last.used)
    }
    let slices = max(slicesPerRegion, count)
    let base = nextRegion
    nextRegion += 1 << 26
    image.map(base, size: UInt64(slices) << 16)
    var region = mallow_region()
    region.base = base
    region.mapped = UInt64(slices) << 16
    region.kind = UInt32(MALLOW_MAP_REGION)
    region.slices = UInt32(slices)
    region.hollow = hollowTables.rawValue + base >> 26 % 64 << 14
    addRecord(region)
    regions.append((base, slices, count))
    return (base, 0)
  }

  private func addPage(kind: Int32, slices: Int, _ change: (inout mallow_page) -> Void) -> Address {
    let (base, slice) = takeSlices(slices)
    for tail in 1..<max(slices, 1) {
      edit(mallow_page.self, at: descriptor(ofSliceAt: base + UInt64(slice + tail) << 16)) {
        $0.kind = UInt8(MALLOW_PAGE_TAIL)
        $0.slices = UInt16(tail)
      }
    }
    edit(mallow_page.self, at: descriptor(ofSliceAt: base + UInt64(slice) << 16)) {
      $0.kind = UInt8(kind)
      $0.owner = heapRecord.rawValue
      $0.start = base + UInt64(slice) << 16
      if kind == MALLOW_PAGE_SPAN { $0.slices = UInt16(slices) }
      change(&$0)
    }
    return Address(base + UInt64(slice) << 16)
  }

  /// The class whose blocks have just this size; a test that asks for another size is wrong.
  private static func sizeClass(of blockSize: UInt64) -> UInt8 {
    func size(_ index: UInt64) -> UInt64 { index < 16 ? 16 * (index + 1) : (9 + index % 8) << (index / 8 + 3) }
    return UInt8((0..<UInt64(MALLOW_CLASS_COUNT)).first { size($0) == blockSize }!)
  }

  /// Allocates a block with `blockSize` bytes from one to the next; a trailer takes the last 16 of them.
  @discardableResult
  public func allocate(_ blockSize: UInt64, stack: StackID? = nil, requested: UInt64 = 0, trailer: Bool = false) -> Address {
    let trailers = trailer || stack != nil || requested > 0
    let key = Key(size: blockSize, trailers: trailers)
    let slices = blockSize > 8192 ? 8 : 1
    let capacity = UInt64(slices) << 16 / blockSize
    if let page = open[key], image.load(descriptor(of: page), as: mallow_page.self)!.carved < UInt16(capacity) {
    } else {
      open[key] = addPage(kind: MALLOW_PAGE_BLOCKS, slices: slices) {
        $0.size_class = Self.sizeClass(of: blockSize)
        $0.owner |= trailers ? UInt64(MALLOW_OWNER_TRAILER) : 0
      }
    }
    let page = open[key]!
    var block = Address(0)
    edit(mallow_page.self, at: descriptor(of: page)) {
      block = page + UInt64($0.carved) * blockSize
      $0.carved += 1
      $0.used += 1
    }
    if trailers {
      image.write(
        mallow_trailer(stack: stack?.rawValue ?? 0, milliseconds: 12, requested: requested), at: block + blockSize - 16)
      editHeap { $0.trailer_allocations += 1 }
    } else {
      editHeap { $0.handed_out.0 += 1 }
    }
    return block
  }

  /// Allocates a block of whole slices.
  public func allocateSpan(slices: Int, requested: UInt64, stack: StackID? = nil) -> Address {
    editHeap { $0.span_allocations += 1 }
    return addPage(kind: MALLOW_PAGE_SPAN, slices: slices) {
      $0.usable = UInt64(slices) << 16
      $0.free = UInt64(stack?.rawValue ?? 0)
      $0.requested = requested
    }
  }

  /// Allocates a block with a mapping of its own.
  public func allocateHuge(_ bytes: UInt64, stack: StackID? = nil) -> Address {
    let base = nextRegion
    let mapped = (1 << 16) + (bytes + 65535) & ~65535
    nextRegion += (mapped + (1 << 26) - 1) & ~(1 << 26 - 1)
    image.map(base, size: mapped)
    var region = mallow_region()
    region.base = base
    region.mapped = mapped
    region.kind = UInt32(MALLOW_MAP_HUGE)
    region.block = base + 1 << 16
    region.page.kind = UInt8(MALLOW_PAGE_HUGE)
    region.page.free = UInt64(stack?.rawValue ?? 0)
    region.page.requested = bytes
    addRecord(region)
    editHeap { $0.span_allocations += 1 }
    return Address(base + 1 << 16)
  }

  /// Allocates a block aligned to 64 MiB, which has no descriptor beside it.
  public func allocateAligned(_ bytes: UInt64) -> Address {
    let base = nextRegion
    nextRegion += (bytes + (1 << 26) - 1) & ~(1 << 26 - 1)
    image.map(base, size: bytes)
    var region = mallow_region()
    region.base = base
    region.mapped = bytes
    region.kind = UInt32(MALLOW_MAP_HUGE_ALIGNED)
    region.page.kind = UInt8(MALLOW_PAGE_HUGE)
    region.page.requested = bytes
    addRecord(region)
    editHeap { $0.span_allocations += 1 }
    return Address(base)
  }

  /// Frees a block onto one of its page's lists.
  public func free(_ block: Address, to list: List = .free) {
    let address = descriptor(of: block)
    edit(mallow_page.self, at: address) {
      let head =
        switch list {
        case .free: $0.free
        case .remote: $0.remote_free & MALLOW_REMOTE_ADDRESS
        }
      let mark = $0.owner & UInt64(MALLOW_OWNER_TRAILER) != 0 ? block.rawValue ^ key : address.rawValue
      image.write(words: [hardened ? head ^ block.rawValue ^ key : head, mark], at: block)
      switch list {
      case .free: $0.free = block.rawValue
      case .remote:
        let count = $0.remote_free >> UInt64(MALLOW_REMOTE_COUNT_SHIFT) + 1
        $0.remote_free = block.rawValue | UInt64(MALLOW_REMOTE_NOTIFY) | count << UInt64(MALLOW_REMOTE_COUNT_SHIFT)
      }
    }
  }

  /// Gives a part of a page of one slice back, a sixteenth of it. What its blocks held is gone.
  public func giveBack(part: Int, of page: Address, blocks: UInt16) {
    let region = page.rawValue >> 26
    let entry = Address(hollowTables.rawValue + region % 64 << 14 + (page.rawValue >> 16 % 1024) * 8)
    edit(mallow_hollow.self, at: entry) {
      $0.parts |= 1 << UInt16(part)
      $0.blocks += blocks
    }
    image.write(words: [UInt64](repeating: 0, count: 512), at: page + UInt64(part) * 4096)
  }

  /// Adds a stack to the stack table.
  public func addStack(
    _ frames: [UInt64], allocations: UInt64 = 0, bytes: UInt64 = 0, frees: UInt64 = 0, freedBytes: UInt64 = 0
  ) -> StackID {
    let id = nextStack
    let bucket = buckets + UInt64(frames.first ?? 0) % UInt64(MALLOW_STACK_BUCKETS) * 4
    var record = mallow_stack()
    record.next = image.load(bucket, as: UInt32.self)!
    record.depth = UInt32(frames.count)
    record.allocations = allocations << 10
    record.allocated_bytes = bytes
    record.frees = frees << 10
    record.freed_bytes = freedBytes
    record.peak_bytes = bytes
    let address = stackTable + UInt64(id) * 8
    withUnsafeBytes(of: record) { image.pointer(address).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    image.write(words: frames, at: address + UInt64(MemoryLayout<mallow_stack>.size))
    image.write(id, at: bucket)
    nextStack += UInt32(MemoryLayout<mallow_stack>.size / 8 + frames.count)
    editIntrospection { $0.stacks_used = UInt64(nextStack) * 8 }
    return StackID(id)
  }
}

/// A small generator whose numbers depend on its seed alone (SplitMix64).
public struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  public init(seed: UInt64) { state = seed }
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
