// How full a heap's resident memory is.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// A heap's resident memory by what it is used for, in bytes.
public struct Fragmentation: Hashable, Sendable {
  /// All of it.
  public let resident: UInt64
  /// In blocks that the program holds.
  public let live: UInt64
  public let liveBlocks: Int
  /// Free between live blocks: the program can use it again, but no one else can.
  public let inPages: UInt64
  /// Free and whole: what the allocator keeps and could give back.
  public let cached: UInt64
  /// The allocator's book-keeping.
  public let metadata: UInt64
  /// By size of block, most free bytes first.
  public let classes: [SizeOccupancy]

  /// Resident bytes for each byte that is live and resident; nil where nothing is.
  public var ratio: Double? { live > 0 ? Double(resident) / Double(live) : nil }

  public init(_ heap: HeapOccupancy) {
    resident = heap.resident
    live = heap[.live].resident
    liveBlocks = heap[.live].blocks
    inPages = HeapPart.allCases.reduce(0) { $1.isFreeAmongLive ? $0 &+ heap[$1].resident : $0 }
    cached = HeapPart.allCases.reduce(0) { $1.isCached ? $0 &+ heap[$1].resident : $0 }
    metadata = heap[.metadata].resident &+ heap.unreached
    classes = heap.sizes.sorted { ($1.free.resident, $0.size) < ($0.free.resident, $1.size) }
  }
}

/// What `mallow fragmentation` reports.
public struct FragmentationSummary: Sendable {
  public var target: Target
  public var fragmentation: Fragmentation
  /// How long the target stood still; nil for a core file.
  public var pauseMilliseconds: Double?
  public var diagnoses: [Diagnosis]
  /// Diagnoses beyond those.
  public var furtherDiagnoses: Int
  /// What could not be found out, and why: one sentence each.
  public var notes: [String]

  public init(
    target: Target, fragmentation: Fragmentation, pauseMilliseconds: Double? = nil, diagnoses: [Diagnosis] = [], furtherDiagnoses: Int = 0,
    notes: [String] = []
  ) {
    self.target = target
    self.fragmentation = fragmentation
    self.pauseMilliseconds = pauseMilliseconds
    self.diagnoses = diagnoses
    self.furtherDiagnoses = furtherDiagnoses
    self.notes = notes
  }
}

/// What a reader should conclude.
public func conclusion(for fragmentation: Fragmentation) -> [String] {
  guard fragmentation.resident > 0 else { return ["The heap has no resident memory."] }
  let (inPages, cached) = (fragmentation.inPages, fragmentation.cached)
  guard max(inPages, cached) >= 1 << 20, max(inPages, cached) * 5 >= fragmentation.resident else {
    return ["Little of the heap's resident memory is free: \(shareText(inPages &+ cached, of: fragmentation.resident))."]
  }
  if cached >= inPages {
    return ["\(byteText(cached)) is free in whole pages that the allocator keeps for reuse."]
  }
  let most = fragmentation.classes.first.flatMap { $0.free.resident * 4 >= inPages ? $0 : nil }
  let size = most.map { ", \(shareText($0.free.resident, of: inPages)) of it in blocks of \(byteText($0.size))" } ?? ""
  return ["\(byteText(inPages)) is free between live blocks and can't be given back\(size): put short-lived and long-lived blocks apart."]
}
