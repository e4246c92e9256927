// All that is known of a heap's blocks, and of one block.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// A count of a heap's blocks and its circumstances.
public struct HeapSummary: Sendable {
  public var target: Target
  public var census: HeapCensus
  /// Allocation sites; empty where none were recorded.
  public var sites: Sites
  public var profile: MallowHeap.Profile
  public var pauseMilliseconds: Double?
  public var diagnoses: [Diagnosis]
  /// Diagnoses beyond those.
  public var furtherDiagnoses: Int
  /// What could not be found out, and why: one sentence each.
  public var notes: [String]

  public init(
    target: Target, census: HeapCensus, sites: Sites = Sites(), profile: MallowHeap.Profile = .off, pauseMilliseconds: Double? = nil,
    diagnoses: [Diagnosis] = [], furtherDiagnoses: Int = 0, notes: [String] = []
  ) {
    self.target = target
    self.census = census
    self.sites = sites
    self.profile = profile
    self.pauseMilliseconds = pauseMilliseconds
    self.diagnoses = diagnoses
    self.furtherDiagnoses = furtherDiagnoses
    self.notes = notes
  }
}

/// A pointer to a block.
public struct Referrer: Hashable, Sendable {
  /// Where it lies; nil for a register or a word that the kernel holds.
  public var address: Address?
  /// The block that it lies in; nil outside of the heap.
  public var block: Address?
  /// The type of the object in that block.
  public var type: String?
  /// What it is: a field, `handler` or `+0x18`; outside of the heap a variable or a place.
  public var name: String
  /// Where in the block that was asked about it points.
  public var offset: UInt64
}

/// One block and what points to it.
public struct BlockSummary: Sendable {
  public var target: Target
  /// The address that was asked about.
  public var address: Address
  /// Nil where the address lies in no block.
  public var block: Block?
  public var type: String?
  /// The stack that allocated it, where that was recorded, innermost frame first.
  public var stack: [StackFrame]?
  /// The first of those that point to it, in address order, roots first.
  public var referrers: [Referrer]
  public var referrerCount: Int
  public var notes: [String]
}
