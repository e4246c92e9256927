// What the kernel says of a process's memory while the process stands still, so that all figures belong together.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A process's memory in the kernel's own figures, all of one moment.
public struct MemoryMeasurement: Sendable {
  public let residency: Residency
  /// `VmRSS` in bytes.
  public let resident: UInt64
  /// `VmPTE` in bytes: the page tables.
  public let pageTables: UInt64
  /// `VmSwap` in bytes.
  public let swapped: UInt64
  /// `HugetlbPages` in bytes: huge pages that were set aside, which are not part of `VmRSS`.
  public let hugePages: UInt64

  /// Measures a stopped process: about 10 ms per GiB that it has mapped.
  /// - Throws: ``ProcessError``.
  public init(_ process: LiveProcess) throws(ProcessError) {
    residency = try Residency(process: process.memory.thread, mappings: process.mappings)
    guard let status = ProcessStatus(process.memory.thread) else { throw .ended(process.processID) }
    func bytes(_ field: Substring) -> UInt64 { UInt64(clamping: status.number(field) ?? 0) * 1024 }
    resident = bytes("VmRSS")
    pageTables = bytes("VmPTE")
    swapped = bytes("VmSwap")
    hugePages = bytes("HugetlbPages")
  }
}

extension Snapshot {
  /// Measures a process's memory and takes a snapshot in the same stop.
  /// - Throws: ``ProcessError``.
  public static func takeMeasured(of process: Int32) throws -> (snapshot: Snapshot, measurement: MemoryMeasurement) {
    var measurement: MemoryMeasurement?
    let snapshot = try take(of: process) { measurement = try MemoryMeasurement($0) }
    return (snapshot, measurement!)
  }
}
