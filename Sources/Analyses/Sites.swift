// Which places in the program hold its memory: the allocation sites with the most live bytes.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// An allocation site: a stack, and what it has allocated. Under sampling all counts are unbiased estimates.
public struct Site: Hashable, Sendable {
  /// Frames, innermost first.
  public var stack: [StackFrame]
  public var live: BlockCount
  public var total: BlockCount
  /// The most bytes that were live at once.
  public var peakBytes: UInt64
  /// Blocks that were freed before their thread recorded another one.
  public var temporaryBlocks: UInt64

  public init(stack: [StackFrame], live: BlockCount, total: BlockCount, peakBytes: UInt64 = 0, temporaryBlocks: UInt64 = 0) {
    self.stack = stack
    self.live = live
    self.total = total
    self.peakBytes = peakBytes
    self.temporaryBlocks = temporaryBlocks
  }
}

/// The allocation sites of a heap, most live bytes first.
public struct Sites: Hashable, Sendable {
  /// The largest ones.
  public var largest: [Site]
  /// How many sites there are that hold live memory, and what they hold together.
  public var count: Int
  public var live: BlockCount

  public init(largest: [Site] = [], count: Int = 0, live: BlockCount = BlockCount()) {
    self.largest = largest
    self.count = count
    self.live = live
  }

  /// - Parameter limit: how many sites to symbolize.
  public init(_ stacks: StackTable, limit: Int = 1000, symbolizer: any StackSymbolizing) {
    let holding = stacks.records.filter { $0.liveBytes > 0 }
    let sorted = holding.sorted { ($1.liveBytes, $0.id) < ($0.liveBytes, $1.id) }
    largest = sorted.prefix(limit).map { record in
      Site(
        stack: symbolizer.frames(record.frames),
        live: BlockCount(blocks: Int(clamping: record.liveBlocks), bytes: record.liveBytes),
        total: BlockCount(blocks: Int(clamping: record.allocations), bytes: record.allocatedBytes),
        peakBytes: record.peakBytes, temporaryBlocks: record.temporary)
    }
    count = holding.count
    live = holding.reduce(into: BlockCount()) {
      $0.blocks &+= Int(clamping: $1.liveBlocks)
      $0.bytes &+= $1.liveBytes
    }
  }
}
