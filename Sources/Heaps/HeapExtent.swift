// A heap as stretches of memory that lie one after the other, each for one purpose: what accounts of memory are made from.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// What a stretch of a heap's memory is for.
public enum HeapPart: Int, CaseIterable, Sendable {
  /// Blocks that the program holds, as long as the allocator made them.
  case live
  /// Mallow: free blocks, and memory never handed out, of pages that also hold live blocks.
  case freeInPages
  /// Mallow: pages without a live block, and free slices.
  case emptyPages
  /// glibc: free chunks in a thread's cache.
  case tcache
  /// glibc: free chunks in fastbins.
  case fastbins
  /// glibc: free chunks in the unsorted, small and large bins.
  case bins
  /// glibc: the end of an arena, which no chunk was cut from.
  case top
  /// The allocator's book-keeping.
  case metadata

  /// Whether it is free memory between live blocks: it can be used again, but not be given back.
  public var isFreeAmongLive: Bool { [.freeInPages, .tcache, .fastbins, .bins].contains(self) }
  /// Whether it is free memory that the allocator could give back.
  public var isCached: Bool { [.emptyPages, .top].contains(self) }
}

/// A stretch of a heap's memory, within one arena.
public struct HeapExtent: Hashable, Sendable {
  public var start: Address
  public var end: Address
  public var part: HeapPart
  /// Blocks in it, all of one size; 0 where it is not made of blocks.
  public var blocks: Int
  /// Bytes from one block to the next; 0 where it is not made of blocks.
  public var blockSize: UInt64
  /// The number of its arena, from 0.
  public var arena: Int

  public init(_ start: Address, _ end: Address, _ part: HeapPart, blocks: Int = 0, blockSize: UInt64 = 0, arena: Int = 0) {
    self.start = start
    self.end = end
    self.part = part
    self.blocks = blocks
    self.blockSize = blockSize
    self.arena = arena
  }
}

/// A heap whose memory can be walked.
public protocol HeapMap {
  /// All memory of the heap, in address order, without overlaps.
  var heapRanges: [Range<Address>] { get }
  /// The names of its arenas, by number.
  var arenaNames: [String] { get }
  /// Calls `body` for each stretch of ``heapRanges`` in address order, without overlaps.
  func forEachExtent(_ body: (HeapExtent) -> Void)
}
