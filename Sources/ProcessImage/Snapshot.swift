// A process at one moment, to be looked at while the process itself runs on.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A process's memory, mappings and threads at one moment.
///
/// The process is stopped only while it is forked (some 20 ms per GiB resident) or, where that is impossible, while its private
/// writable memory is copied. Shared memory is not part of the snapshot: it is read as it is at the time of reading.
///
/// The forked copy belongs to the thread that took the snapshot, and goes when that thread ends.
public final class Snapshot: ProcessImage {
  public enum Method: Sendable {
    /// The target forked a copy-on-write child, which is read.
    case fork
    /// Its memory was copied while it stood still.
    case copy
  }

  public let processID: Int32
  public let executable: String
  public let mappings: [Mapping]
  public let threads: [ThreadState]
  public private(set) var kernelHeldWords: [KernelHeldWord] = []
  /// How it was taken.
  public let method: Method
  /// Why the target was not forked, to complete "because …"; empty where it was.
  public let copyReason: String
  /// How long the target stood still: from the stop of its first thread to the release of the last.
  public let pauseMilliseconds: Double

  /// The threads with all their registers.
  let stoppedThreads: [StoppedThread]
  private var source: Source

  private lazy var touched: TouchedPages? = if case .fork(let child) = source { TouchedPages(thread: child.thread) } else { nil }

  private lazy var memory: MemoryFile? = if case .fork(let child) = source { MemoryFile(thread: child.thread) } else { nil }

  private enum Source {
    case fork(Tracee)
    case copy(MemoryCopy, live: TargetMemory)
    case closed
  }

  /// Takes a snapshot of a running process, which runs on.
  /// - Parameter examine: called while the process stands still, before it is forked.
  /// - Throws: ``ProcessError``.
  public static func take(of process: Int32, examine: (LiveProcess) throws -> Void = { _ in }) throws -> Snapshot {
    let checked = try ProcessCheck.examinableProcess(process)
    // What can be found before the stop is not searched for during it.
    let memory = TargetMemory(thread: checked)
    let gadgets = Gadgets.find(in: MapsParser.parse(ProcFiles.read("/proc/\(checked)/maps") ?? []), memory: memory)
    let kernelHeld = KernelHeldWord.all(of: checked)
    let stopped = try LiveProcess(checked: checked)
    try examine(stopped)
    let snapshot = try Snapshot(of: stopped, gadgets: gadgets)
    // What the kernel held at the stop it held before or holds after: asking during it would prolong it.
    snapshot.kernelHeldWords = Array(Set(kernelHeld + KernelHeldWord.all(of: checked)))
    return snapshot
  }

  /// Takes a snapshot of a stopped process and lets the process run on (``LiveProcess/detach()``).
  /// - Throws: ``ProcessError``.
  public static func take(of process: LiveProcess) throws -> Snapshot {
    let snapshot = try Snapshot(of: process, gadgets: nil)
    snapshot.kernelHeldWords = process.kernelHeldWords
    return snapshot
  }

  /// Takes a snapshot without forking.
  static func copy(of process: LiveProcess) throws -> Snapshot {
    try Snapshot(copying: process, because: "it was asked for")
  }

  private convenience init(of process: LiveProcess, gadgets: Gadgets?) throws {
    defer { process.detach() }
    guard process.isStopped else { throw ProcessError.ended(process.processID) }
    do {
      let injection = try ForkInjection(into: process, gadgets: gadgets)
      try self.init(forking: process, injection)
    } catch let obstacle as ForkInjection.Obstacle {
      try self.init(copying: process, because: obstacle.reason)
    }
  }

  private init(forking process: LiveProcess, _ injection: ForkInjection) throws {
    let child = try injection.perform()
    process.detach()
    pauseMilliseconds = Self.milliseconds(since: process.stoppedAt)
    do {
      try injection.settle(child)
    } catch {
      Self.end(child)
      throw error
    }
    // The kernel's choice when memory runs out shall be the copy, not the target.
    Self.offerToOutOfMemoryKiller(child.thread)
    (processID, executable, mappings, threads) = (
      process.processID, process.executable, process.mappings, process.threads
    )
    stoppedThreads = process.stopper.threads
    method = .fork
    copyReason = ""
    source = .fork(child)
  }

  private init(copying process: LiveProcess, because reason: String) throws {
    let copy = try MemoryCopy(of: process)
    guard process.stopper.threads.contains(where: { $0.tracee.registers() != nil }) else {
      throw ProcessError.ended(process.processID)
    }
    process.detach()
    pauseMilliseconds = Self.milliseconds(since: process.stoppedAt)
    (processID, executable, mappings, threads) = (
      process.processID, process.executable, process.mappings, process.threads
    )
    stoppedThreads = process.stopper.threads
    method = .copy
    copyReason = reason
    source = .copy(copy, live: process.memory)
  }

  deinit { close() }

  /// Gives the snapshot's memory back; nothing can be read afterwards.
  public func close() {
    if case .fork(let child) = source { Self.end(child) }
    source = .closed
  }

  /// False when the copy is gone, because it was closed or killed from outside: what was read since may be incomplete.
  public var isIntact: Bool {
    switch source {
    case .closed: false
    case .copy: true
    case .fork(let child): ProcessStatus(child.thread).map { !"ZX".contains($0.state) } ?? false
    }
  }

  public func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    switch source {
    case .fork: memory?.read(address, into: buffer) ?? 0
    case .copy(let copy, let live): copy.read(address, into: buffer, elsewhere: live)
    case .closed: 0
    }
  }

  public func touchedRanges(in range: Range<Address>) -> [Range<Address>] {
    if case .copy(let copy, _) = source { return copy.touchedRanges(in: range) }
    return touched?.ranges(in: range) ?? [range]
  }

  /// The parts of a file's private mapping that were written to; all of it where that can't be told.
  func privateRanges(in range: Range<Address>) -> [Range<Address>] {
    guard let thread = sourceThread else { return [range] }
    let pagemap = open("/proc/\(thread)/pagemap", O_RDONLY | O_CLOEXEC)
    defer { if pagemap >= 0 { Glibc.close(pagemap) } }
    return PrivatePages.ranges(in: range, pagemap: pagemap)
  }

  /// The parts of a mapping that its file holds, which for shared anonymous memory are the pages that anyone has touched: reading the
  /// others would make the kernel provide them. All of it where that can't be told.
  func storedRanges(of mapping: Mapping) -> [Range<Address>] {
    let all = [mapping.start..<mapping.end]
    guard mapping.isShared, let thread = sourceThread else { return all }
    let (start, end) = (String(mapping.start.rawValue, radix: 16), String(mapping.end.rawValue, radix: 16))
    guard let file = FileContents(path: "/proc/\(thread)/map_files/\(start)-\(end)") else { return all }
    return file.storedRanges(in: mapping.fileOffset..<mapping.fileOffset + mapping.size).map {
      mapping.start + ($0.lowerBound - mapping.fileOffset)..<mapping.start + ($0.upperBound - mapping.fileOffset)
    }
  }

  /// The bytes of `/proc/PID/auxv`; empty where they can't be read.
  var auxiliaryVector: [UInt8] { sourceThread.flatMap { ProcFiles.read("/proc/\($0)/auxv") } ?? [] }

  /// The process that memory is read from.
  private var sourceThread: Int32? {
    switch source {
    case .fork(let child): child.thread
    case .copy(_, let live): live.thread
    case .closed: nil
    }
  }

  /// Kills a snapshot's process and collects it.
  static func end(_ child: Tracee) {
    kill(child.thread, SIGKILL)
    let deadline = monotonicNanoseconds() + 5_000_000_000
    while let status = try? child.wait(process: child.thread, deadline: deadline) {
      switch status {
      case .exited, .killed: return
      default: continue
      }
    }
  }

  private static func offerToOutOfMemoryKiller(_ process: Int32) {
    let descriptor = open("/proc/\(process)/oom_score_adj", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = write(descriptor, "1000", 4)
    Glibc.close(descriptor)
  }

  private static func milliseconds(since start: UInt64) -> Double {
    Double(monotonicNanoseconds() - start) / 1_000_000
  }
}
