// The blocks of a heap, compactly: a record for each page, bits for the blocks, and a table from address to page.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// A number of blocks and what they take.
public struct BlockCount: Hashable, Sendable {
  public var blocks: Int
  /// Bytes that the program may use in them, unless said otherwise.
  public var bytes: UInt64

  public init(blocks: Int = 0, bytes: UInt64 = 0) {
    self.blocks = blocks
    self.bytes = bytes
  }

  public static func += (a: inout BlockCount, b: BlockCount) {
    a.blocks += b.blocks
    a.bytes &+= b.bytes
  }
}

/// A page: equal blocks one after the other, blocks of any size (chunks), or a single large block.
///
/// A page of chunks is one of 16-byte units, as many as `blockCount` says: each has a number, and a block has that of its first
/// unit. Where blocks start is in the heap's map of chunks.
public struct HeapPage: Sendable {
  public enum Kind: UInt8, Sendable {
    /// Blocks of one size class.
    case blocks
    /// One block of whole slices.
    case span
    /// One block with a mapping of its own.
    case huge
    /// The same of glibc's malloc. It nearly always has room to spare, and its end is where some other mapping starts.
    case mapped
    /// Blocks of any size, each a multiple of 16 bytes apart.
    case chunks
  }

  /// The address of its first block.
  public let start: Address
  /// Bytes from one block to the next.
  public let blockSize: UInt64
  /// ceil(2^64 / blockSize): the upper half of a product with it is a quotient. 0 where a block is not found by division.
  let reciprocal: UInt64
  /// The number of its first block; the others follow.
  public let firstBlock: Int
  /// Blocks that were ever handed out: those there are.
  public let blockCount: Int
  /// Blocks that fit.
  public let capacity: Int
  public let kind: Kind
  public let sizeClass: UInt8
  /// Bytes at each block's end that are the allocator's: 16 for a record of its allocation, 8 for the next block's header.
  let reserved: UInt8
  /// The record of a large block's allocation.
  let record: AllocationRecord

  init(
    start: Address, blockSize: UInt64, firstBlock: Int, blockCount: Int, capacity: Int, kind: Kind, sizeClass: UInt8 = 0,
    reserved: UInt8 = 0, record: AllocationRecord = AllocationRecord()
  ) {
    self.start = start
    self.blockSize = blockSize
    reciprocal = kind == .blocks ? UInt64.max / blockSize &+ 1 : 0
    self.firstBlock = firstBlock
    self.blockCount = blockCount
    self.capacity = capacity
    self.kind = kind
    self.sizeClass = sizeClass
    self.reserved = reserved
    self.record = record
  }

  /// Whether each block ends in a record of its allocation.
  public var hasTrailers: Bool { reserved == 16 }
  /// Bytes of each block that the program may use; of a page of chunks ask ``Heap/usableSize(of:)``.
  public var usableSize: UInt64 { blockSize - UInt64(reserved) }
  /// The numbers of its blocks. On a page of chunks not every number is a block's.
  public var blockNumbers: Range<Int> { firstBlock..<firstBlock + blockCount }

  /// The first address after its blocks.
  public var end: Address { start + UInt64(blockCount) &* blockSize }

  /// The index of the block of a page of equal blocks that contains `address`, which must not lie below the page; nil if none.
  @inline(__always)
  func index(of address: UInt64) -> Int? {
    let offset = address &- start.rawValue
    let index = Int(truncatingIfNeeded: offset.multipliedFullWidth(by: reciprocal).high)
    return index < blockCount ? index : nil
  }

  @inline(__always)
  public func address(of index: Int) -> Address { start + UInt64(index) &* blockSize }
}

/// What is recorded of one allocation.
struct AllocationRecord: Hashable, Sendable {
  var stack: UInt32 = 0
  var milliseconds: UInt32 = 0
  /// 0 where it is not recorded.
  var requested: UInt64 = 0
}

/// A block's place: the index of its page and its own within that.
public struct BlockIndex: Hashable, Comparable, Sendable {
  public let page: UInt32
  public let index: UInt32

  @inline(__always)
  public init(page: Int, index: Int) {
    self.page = UInt32(truncatingIfNeeded: page)
    self.index = UInt32(truncatingIfNeeded: index)
  }

  public static func < (a: BlockIndex, b: BlockIndex) -> Bool {
    a.page == b.page ? a.index < b.index : a.page < b.page
  }
}

/// A stack of the stack table.
public struct StackID: Hashable, Comparable, Sendable {
  public let rawValue: UInt32
  public init(_ rawValue: UInt32) { self.rawValue = rawValue }
  public static func < (a: StackID, b: StackID) -> Bool { a.rawValue < b.rawValue }
}

/// All that is known of a block.
public struct Block: Hashable, Sendable {
  public enum State: String, Sendable { case live, free }

  public let start: Address
  /// Bytes that the program may use.
  public let size: UInt64
  /// Bytes that it asked for, where that is recorded.
  public let requested: UInt64?
  public let state: State
  public let kind: HeapPage.Kind
  public let sizeClass: UInt8
  /// The stack that allocated it, where that is recorded.
  public let stack: StackID?
  /// When it was allocated, in milliseconds from the allocator's start, where that is recorded.
  public let milliseconds: UInt32?
  public let index: BlockIndex

  public var end: Address { start + size }
}

/// The blocks of a heap at one moment. Memory: about 80 bytes a page and a bit a block; see ``ChunkMap`` for chunks.
///
/// Blocks have numbers in address order, below ``numberLimit``: use them with a ``BitSet``.
public struct Heap {
  /// In address order, without overlaps.
  public let pages: [HeapPage]
  /// The numbers of the live blocks.
  public let live: BitSet
  /// Where the memory of the blocks is read.
  public let mirror: MemoryMirror
  let table: PageTable
  let chunks: ChunkMap

  init(pages: [HeapPage], live: BitSet, mirror: MemoryMirror, table: PageTable, chunks: ChunkMap = ChunkMap()) {
    self.pages = pages
    self.live = live
    self.mirror = mirror
    self.table = table
    self.chunks = chunks
  }

  /// A heap without blocks.
  public init(empty mirror: MemoryMirror) {
    self.init(pages: [], live: BitSet(capacity: 0), mirror: mirror, table: PageTable())
  }

  /// All numbers are below it; where no page is one of chunks it is the number of blocks.
  public var numberLimit: Int { live.capacity }

  @inline(__always)
  public func number(of block: BlockIndex) -> Int {
    pages[Int(block.page)].firstBlock + Int(block.index)
  }

  /// The block, live or free, whose memory contains `address`, what the allocator keeps at its end included. O(1).
  @inline(__always)
  public func block(containing address: Address) -> BlockIndex? {
    guard let page = table.page(of: address.rawValue) else { return nil }
    if pages[page].reciprocal == 0 { return chunk(containing: address, from: page) }
    guard address >= pages[page].start, let index = pages[page].index(of: address.rawValue) else { return nil }
    return BlockIndex(page: page, index: index)
  }

  /// The large block or chunk that contains `address`: on `first`, or on a page after it that begins in the same slice.
  private func chunk(containing address: Address, from first: Int) -> BlockIndex? {
    var page = first
    while address >= pages[page].end {
      page += 1
      if page == pages.count { return nil }
    }
    guard address >= pages[page].start, pages[page].reciprocal == 0 else { return nil }
    guard pages[page].kind == .chunks else { return BlockIndex(page: page, index: 0) }
    let firstNumber = pages[page].firstBlock
    let unit = firstNumber + Int(truncatingIfNeeded: (address - pages[page].start) >> 4)
    return BlockIndex(page: page, index: chunks.start(atOrBefore: unit) - firstNumber)
  }

  public func isLive(_ block: BlockIndex) -> Bool { live.contains(number(of: block)) }

  @inline(__always)
  public func address(of block: BlockIndex) -> Address {
    pages[Int(block.page)].address(of: Int(block.index))
  }

  /// Bytes of a block that the program may use.
  @inline(__always)
  public func usableSize(of block: BlockIndex) -> UInt64 {
    let page = pages[Int(block.page)]
    return page.kind == .chunks ? chunkSize(block) : page.usableSize
  }

  private func chunkSize(_ block: BlockIndex) -> UInt64 {
    let page = pages[Int(block.page)]
    let number = page.firstBlock + Int(block.index)
    return UInt64(chunks.start(after: number, end: page.firstBlock + page.blockCount) - number) << 4 - UInt64(page.reserved)
  }

  /// The block that ends at `address`, where the program's memory reaches that far; live or free.
  @inline(__always)
  public func block(endingAt address: Address) -> BlockIndex? {
    guard let block = block(containing: address - 1) else { return nil }
    let page = pages[Int(block.page)]
    guard page.reserved == 0, page.kind != .mapped, page.address(of: Int(block.index) + 1) == address else { return nil }
    return block
  }

  /// The place of the block with this number. O(log pages).
  public func block(number: Int) -> BlockIndex {
    var low = 0
    var high = pages.count
    while low < high {
      let middle = (low + high) / 2
      if pages[middle].firstBlock + pages[middle].blockCount <= number { low = middle + 1 } else { high = middle }
    }
    return BlockIndex(page: low, index: number - pages[low].firstBlock)
  }
}
