// All that is known after a search for leaks in a process that runs on, or in a core file.
// SPDX-License-Identifier: Apache-2.0
import Heaps

/// A search for leaks and its circumstances.
public struct LeaksSummary: Sendable {
  public var target: Target
  public var leaks: LeakReport
  public var profile: MallowHeap.Profile
  /// How long the target stood still; nil for a core file.
  public var pauseMilliseconds: Double?
  public var diagnoses: [Diagnosis]
  /// Diagnoses beyond those.
  public var furtherDiagnoses: Int
  /// What could not be found out, and why: one sentence each.
  public var notes: [String]

  public init(
    target: Target, leaks: LeakReport, profile: MallowHeap.Profile = .off, pauseMilliseconds: Double? = nil,
    diagnoses: [Diagnosis] = [], furtherDiagnoses: Int = 0, notes: [String] = []
  ) {
    self.target = target
    self.leaks = leaks
    self.profile = profile
    self.pauseMilliseconds = pauseMilliseconds
    self.diagnoses = diagnoses
    self.furtherDiagnoses = furtherDiagnoses
    self.notes = notes
  }
}
