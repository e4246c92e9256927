// What is reported of a core file that was written.
// SPDX-License-Identifier: Apache-2.0

/// A core file that was written, and the circumstances.
public struct SnapshotSummary: Sendable {
  public var target: Target
  /// The path of the core file.
  public var file: String
  /// The size of the file in bytes.
  public var fileSize: UInt64
  public var isCompressed: Bool
  /// Bytes of memory in the file.
  public var storedBytes: UInt64
  /// Bytes of memory that the process had mapped.
  public var mappedBytes: UInt64
  public var threads: Int
  /// How long the process stood still.
  public var pauseMilliseconds: Double
  /// What could not be written, and why: one sentence each.
  public var notes: [String]

  public init(
    target: Target, file: String, fileSize: UInt64, isCompressed: Bool, storedBytes: UInt64, mappedBytes: UInt64, threads: Int,
    pauseMilliseconds: Double, notes: [String] = []
  ) {
    self.target = target
    self.file = file
    self.fileSize = fileSize
    self.isCompressed = isCompressed
    self.storedBytes = storedBytes
    self.mappedBytes = mappedBytes
    self.threads = threads
    self.pauseMilliseconds = pauseMilliseconds
    self.notes = notes
  }
}
