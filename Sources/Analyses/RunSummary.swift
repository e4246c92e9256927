// All that is known of a program that was run.
// SPDX-License-Identifier: Apache-2.0
import Heaps

/// What an analysis was made of.
public struct Target: Hashable, Sendable {
  public typealias Allocator = TargetHeap.Allocator

  public var processID: Int32
  public var executable: String
  public var allocator: Allocator
  /// What reports call it: the executable's file name, unless it was started by another.
  public var name: String

  public init(processID: Int32, executable: String, allocator: Allocator) {
    self.processID = processID
    self.executable = executable
    self.allocator = allocator
    name = executable.split(separator: "/").last.map(String.init) ?? "process \(processID)"
  }
}

/// A run from its start to its end, and what its heap held at the end.
public struct RunSummary: Sendable {
  public enum Exit: Hashable, Sendable {
    case code(Int32)
    case signal(Int32)
  }

  public var target: Target
  public var exit: Exit
  public var wallSeconds: Double
  /// Processor time, user and system together.
  public var processorSeconds: Double?
  /// The most bytes that were resident.
  public var peakResident: UInt64?
  /// Bytes that were resident at the end.
  public var resident: UInt64?
  /// The heap at the end; nil where it could not be read.
  public var heap: HeapStatistics?
  public var profile: MallowHeap.Profile
  public var sampleInterval: UInt64?
  /// The leaks; nil where they were not searched for.
  public var leaks: LeakReport?
  public var sites: Sites
  public var diagnoses: [Diagnosis]
  /// Diagnoses beyond those.
  public var furtherDiagnoses: Int
  /// What could not be found out, and why: one sentence each.
  public var notes: [String]

  public init(
    target: Target, exit: Exit, wallSeconds: Double, processorSeconds: Double? = nil, peakResident: UInt64? = nil,
    resident: UInt64? = nil, heap: HeapStatistics? = nil, profile: MallowHeap.Profile = .off,
    sampleInterval: UInt64? = nil, leaks: LeakReport? = nil, sites: Sites = Sites(), diagnoses: [Diagnosis] = [],
    furtherDiagnoses: Int = 0, notes: [String] = []
  ) {
    self.target = target
    self.exit = exit
    self.wallSeconds = wallSeconds
    self.processorSeconds = processorSeconds
    self.peakResident = peakResident
    self.resident = resident
    self.heap = heap
    self.profile = profile
    self.sampleInterval = sampleInterval
    self.leaks = leaks
    self.sites = sites
    self.diagnoses = diagnoses
    self.furtherDiagnoses = furtherDiagnoses
    self.notes = notes
  }
}
