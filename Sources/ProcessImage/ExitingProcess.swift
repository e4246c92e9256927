// A program that is about to end, with its memory still there.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// How a program ended.
public enum ProgramEnd: Equatable, Sendable {
  case exited(code: Int32)
  case killed(signal: Int32, coreDumped: Bool)
}

/// A program between its last instruction and the end of its memory: all its threads stand still in the kernel.
///
/// It is valid only inside ``TracedProgram/onExit``.
public final class ExitingProcess: ProcessImage {
  public let processID: Int32
  public let executable: String
  public let mappings: [Mapping]
  public let threads: [ThreadState]
  public let end: ProgramEnd
  /// The most memory that was resident at once, in bytes (`VmHWM`).
  public let peakResidentBytes: UInt64
  /// The memory that is resident now, in bytes (`VmRSS`).
  public let residentBytes: UInt64
  /// Whether this is the program that was started, not a child of it.
  public let isMainProgram: Bool

  private let memory: TargetMemory
  private let touched: TouchedPages

  init?(_ process: Int32, threads held: [Int32], end: ProgramEnd, isMainProgram: Bool) {
    let stopped = held.compactMap { StoppedThread(Tracee(thread: $0)) }
    guard let first = stopped.first?.tracee.thread else { return nil }
    processID = process
    executable = ProcFiles.executable(first) ?? ""
    mappings = MapsParser.parse(ProcFiles.read("/proc/\(first)/maps") ?? [])
    threads = stopped.map(\.state)
    self.end = end
    self.isMainProgram = isMainProgram
    memory = TargetMemory(thread: first)
    touched = TouchedPages(thread: first)
    peakResidentBytes = Self.peakResident(of: first)
    residentBytes = UInt64(max(0, ProcessStatus(first)?.number("VmRSS") ?? 0)) * 1024
  }

  public func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    memory.read(address, into: buffer)
  }

  public func touchedRanges(in range: Range<Address>) -> [Range<Address>] { touched.ranges(in: range) }

  public var kernelHeldWords: [KernelHeldWord] { KernelHeldWord.all(of: memory.thread) }

  /// The high-water mark of a process's resident memory in bytes, 0 where it has none any more.
  static func peakResident(of thread: Int32) -> UInt64 {
    UInt64(max(0, ProcessStatus(thread)?.number("VmHWM") ?? 0)) * 1024
  }
}
