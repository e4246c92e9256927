// What is known of one watched process: its threads, and whether it is about to end.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

struct WatchedProcess {
  enum Thread {
    case running
    /// Stopped at PTRACE_EVENT_EXIT.
    case held
    /// Let go after that: it runs no code of the program any more.
    case leaving
  }

  enum Verdict: Equatable {
    case wait
    /// Threads end, but the process does not.
    case letGo
    case ends(ProgramEnd)
  }

  let id: Int32
  /// Made by vfork(2), and still in its parent's memory.
  let sharesMemory: Bool
  var threads: [Int32: Thread]
  /// Its end has been handed over.
  var isReported = false
  /// How it ends, once that is certain.
  private var end: ProgramEnd?
  private var heldSince: UInt64?
  private var lastExitCode: Int32 = 0

  /// How long the threads of an ending process may take to reach their exit. One in an uninterruptible system call takes longer.
  private static let patience: UInt64 = 1_000_000_000

  init(id: Int32, sharesMemory: Bool) {
    self.id = id
    self.sharesMemory = sharesMemory
    threads = [id: .running]
  }

  var isHolding: Bool { threads.values.contains(.held) }

  /// The held threads, the main thread first.
  var held: [Int32] {
    threads.filter { $0.value == .held }.keys.sorted { ($0 == id ? 0 : 1, $0) < ($1 == id ? 0 : 1, $1) }
  }

  /// Notes that a thread has reached PTRACE_EVENT_EXIT with its exit status `code`, from within `systemCall`. Returns whether it is
  /// to be held there.
  mutating func reachedExit(_ thread: Int32, code: Int32, systemCall: Int?) -> Bool {
    let signal = code & 0x7f
    let isThreadExit = signal == 0 && systemCall == Int(SYS_exit)
    let othersRun = threads.contains { $0.key != thread && $0.value == .running }
    // SIGKILL means at once, and may be the kernel's way out of a shortage of memory; exec ends other threads by it, too. A single
    // thread's exit is not the program's, unless it is the last.
    if isReported || signal == SIGKILL || (isThreadExit && end == nil && (othersRun || isHolding)) {
      threads[thread] = .leaving
      return false
    }
    if signal != 0 {
      end = .killed(signal: signal, coreDumped: code & 0x80 != 0)
    } else if systemCall == Int(SYS_exit_group) {
      end = .exited(code: (code >> 8) & 0xff)
    }
    // Otherwise the thread was ended by another one's exit_group or exec: which of the two is not known yet.
    lastExitCode = (code >> 8) & 0xff
    if !isHolding { heldSince = monotonicNanoseconds() }
    threads[thread] = .held
    return true
  }

  func verdict(at now: UInt64) -> Verdict {
    let running = threads.filter { $0.value == .running }.keys
    if running.isEmpty { return .ends(end ?? .exited(code: lastExitCode)) }
    let isOverdue = heldSince.map { now - $0 > Self.patience } ?? false
    if let end { return isOverdue ? .ends(end) : .wait }
    // A thread that executes a program waits in that call for the others' ends.
    return isOverdue || running.contains { Self.isExecuting($0) } ? .letGo : .wait
  }

  private static func isExecuting(_ thread: Int32) -> Bool {
    guard let call = ProcFiles.text("/proc/\(thread)/syscall")?.split(separator: " ").first else { return false }
    return call == "\(SYS_execve)" || call == "\(SYS_execveat)"
  }
}
