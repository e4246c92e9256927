// An account of a target's memory and its circumstances.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Memory that a process costs the system beyond its resident size, in bytes.
public struct OutsideCosts: Hashable, Sendable {
  /// Nil where the kernel does not say.
  public var pageTables: UInt64?
  /// Nil where it is not known.
  public var swapped: UInt64?
  public var mappings: Int
  /// Huge pages that were set aside (hugetlbfs).
  public var hugePages: UInt64
  /// What the process's control group is charged for cached files, all its processes together; nil where that can't be read.
  public var fileCache: UInt64?

  /// The kernel's records of a mapping take about as much. An estimate.
  public static let bytesPerMapping: UInt64 = 300
  public var mappingRecords: UInt64 { UInt64(mappings) * Self.bytesPerMapping }

  public init(pageTables: UInt64? = nil, swapped: UInt64? = nil, mappings: Int, hugePages: UInt64 = 0, fileCache: UInt64? = nil) {
    self.pageTables = pageTables
    self.swapped = swapped
    self.mappings = mappings
    self.hugePages = hugePages
    self.fileCache = fileCache
  }
}

/// What `mallow account` reports.
public struct AccountSummary: Sendable {
  public var target: Target
  public var account: Account
  public var outside: OutsideCosts
  /// What the heap holds; nil where none can be read.
  public var heap: HeapOccupancy?
  public var source: Residency.Source
  /// How long the target stood still; nil for a core file.
  public var pauseMilliseconds: Double?
  public var diagnoses: [Diagnosis]
  /// Diagnoses beyond those.
  public var furtherDiagnoses: Int
  /// What could not be found out, and why: one sentence each.
  public var notes: [String]

  public init(
    target: Target, account: Account, outside: OutsideCosts, heap: HeapOccupancy? = nil, source: Residency.Source = .pageScan,
    pauseMilliseconds: Double? = nil, diagnoses: [Diagnosis] = [], furtherDiagnoses: Int = 0, notes: [String] = []
  ) {
    self.target = target
    self.account = account
    self.outside = outside
    self.heap = heap
    self.source = source
    self.pauseMilliseconds = pauseMilliseconds
    self.diagnoses = diagnoses
    self.furtherDiagnoses = furtherDiagnoses
    self.notes = notes
  }
}
