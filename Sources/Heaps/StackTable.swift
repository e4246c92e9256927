// The table of allocation sites: one record for each distinct stack that was recorded.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import ProcessImage

/// An allocation site as the allocator counted it. Under sampling, all counts are unbiased estimates.
public struct StackRecord: Hashable, Sendable {
  public var id: StackID
  /// Return addresses, innermost first.
  public var frames: [Address]
  public var allocations: UInt64
  public var allocatedBytes: UInt64
  public var frees: UInt64
  public var freedBytes: UInt64
  /// The most that was live at once.
  public var peakBytes: UInt64
  /// Blocks freed before their thread recorded another one.
  public var temporary: UInt64

  public init(
    id: StackID, frames: [Address], allocations: UInt64 = 0, allocatedBytes: UInt64 = 0, frees: UInt64 = 0,
    freedBytes: UInt64 = 0, peakBytes: UInt64 = 0, temporary: UInt64 = 0
  ) {
    self.id = id
    self.frames = frames
    self.allocations = allocations
    self.allocatedBytes = allocatedBytes
    self.frees = frees
    self.freedBytes = freedBytes
    self.peakBytes = peakBytes
    self.temporary = temporary
  }

  public var liveBlocks: UInt64 { allocations > frees ? allocations - frees : 0 }
  public var liveBytes: UInt64 { allocatedBytes > freedBytes ? allocatedBytes - freedBytes : 0 }
}

/// All allocation sites.
public struct StackTable: Sendable {
  /// In the order of their ids.
  public let records: [StackRecord]
  private let positions: [StackID: Int]

  public init(_ records: [StackRecord] = []) {
    self.records = records
    positions = Dictionary(records.enumerated().map { ($1.id, $0) }) { first, _ in first }
  }

  public subscript(_ id: StackID) -> StackRecord? { positions[id].map { records[$0] } }
}

extension MallowHeapReader {
  /// Every stack that the table's buckets lead to.
  mutating func readStacks() -> StackTable {
    let used = min(introspection.stacks_used, introspection.stacks_size)
    let recordSize = UInt64(MemoryLayout<mallow_stack>.size)
    guard introspection.stacks != 0, used >= recordSize else { return StackTable() }
    var records: [StackRecord] = []
    var seen: Set<UInt32> = []
    var buckets = [UInt32](repeating: 0, count: Int(MALLOW_STACK_BUCKETS))
    let isComplete = buckets.withUnsafeMutableBytes {
      mirror.read(Address(introspection.stack_buckets), into: $0) == $0.count
    }
    if !isComplete {
      log.note(.stackTable, Address(introspection.stack_buckets), "the buckets of the stack table can't be read in full")
    }
    for bucket in buckets where bucket != 0 {
      var id = bucket
      while id != 0 {
        let offset = UInt64(id) * 8
        guard seen.insert(id).inserted else {
          log.note(.stackTable, Address(introspection.stacks &+ offset), "stack \(id) is met twice: the stack table is damaged")
          break
        }
        guard offset <= used - recordSize,
          let head = stackHead(Address(introspection.stacks &+ offset)),
          head.depth <= UInt32(MALLOW_STACK_MAX_FRAMES), offset + recordSize + UInt64(head.depth) * 8 <= used
        else {
          log.note(.stackTable, Address(introspection.stacks &+ offset), "stack \(id) is damaged or lies outside the stack table")
          break
        }
        let frames = (0..<UInt64(head.depth)).compactMap {
          mirror.word(Address(introspection.stacks &+ offset &+ recordSize &+ $0 * 8)).map { Address($0) }
        }
        records.append(
          StackRecord(
            id: StackID(id), frames: frames, allocations: whole(head.allocations), allocatedBytes: head.allocated_bytes,
            frees: whole(head.frees), freedBytes: head.freed_bytes, peakBytes: head.peak_bytes,
            temporary: whole(head.temporary)))
        id = head.next
      }
    }
    return StackTable(records.sorted { $0.id < $1.id })
  }

  /// The record without its frames. Its flexible array keeps the type from being `BitwiseCopyable`.
  private func stackHead(_ address: Address) -> mallow_stack? {
    var head = mallow_stack()
    return withUnsafeMutableBytes(of: &head) { mirror.read(address, into: $0) == $0.count } ? head : nil
  }

  /// Counts are kept in 1/1024.
  private func whole(_ count: UInt64) -> UInt64 { (count >> 10) &+ (count >> 9 & 1) }
}
