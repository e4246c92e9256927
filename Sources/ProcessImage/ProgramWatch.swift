// The event loop over a traced program: passes signals on, follows threads, and catches the moment before the end.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Watches one program, and its children if they are followed, on the thread that traces them.
final class ProgramWatch {
  private let program: Int32
  private let followsChildren: Bool
  private let onExit: (ExitingProcess) -> Void
  private let onExec: (Int32, String) -> Void

  private var processes: [Int32: WatchedProcess] = [:]
  private var processOfThread: [Int32: Int32] = [:]
  /// New processes that have stopped before their parent reported them.
  private var unannounced: Set<Int32> = []
  private var peak: UInt64 = 0

  init(
    program: Int32, followsChildren: Bool, onExit: @escaping (ExitingProcess) -> Void,
    onExec: @escaping (Int32, String) -> Void
  ) {
    self.program = program
    self.followsChildren = followsChildren
    self.onExit = onExit
    self.onExec = onExec
    adopt(process: program, sharesMemory: false)
  }

  /// Runs until the program has ended. Returns how, when (``monotonicNanoseconds()``), and its peak of resident memory.
  func untilEnd() -> (ProgramEnd, UInt64, UInt64) {
    while true {
      guard let (thread, status, usage) = nextReport() else {
        // Collected by someone else: nothing is known of its end.
        return (.exited(code: 0), monotonicNanoseconds(), peak)
      }
      if let end = handle(thread, status) {
        letGoOfOthers()
        return (end, monotonicNanoseconds(), peak > 0 ? peak : UInt64(max(0, usage.ru_maxrss)) * 1024)
      }
    }
  }

  /// Waits for a thread's next report. While threads are held at their exit, sees to it that they don't wait for ever. Nil when no
  /// thread is left.
  private func nextReport() -> (Int32, WaitStatus, rusage)? {
    while true {
      let isHolding = processes.values.contains { $0.isHolding }
      let options = Int32(MALLOW_WAIT_ALL) | Self.ownTraceesOnly | (isHolding ? WNOHANG : 0)
      var raw: Int32 = 0
      var usage = rusage()
      let thread = ChildSignal.blocked {
        let thread = wait4(-1, &raw, options, &usage)
        if thread == 0 { ChildSignal.wait() }
        return thread
      }
      if thread > 0 { return (thread, WaitStatus(raw: raw), usage) }
      if thread < 0 && errno == ECHILD { return nil }
      if isHolding { for process in processes.keys { settle(process) } }
    }
  }

  private static let ownTraceesOnly: Int32 = 0x2000_0000  // __WNOTHREAD

  /// Returns the end of the program once it has ended.
  private func handle(_ thread: Int32, _ status: WaitStatus) -> ProgramEnd? {
    let tracee = Tracee(thread: thread)
    switch status {
    case .signal(let signal):
      tracee.resume(signal: signal)
    case .stop(let signal):
      if processOfThread[thread] == nil, !greet(newThread: thread) { break }
      if signal == SIGTRAP { tracee.resume() } else { tracee.listen() }
    case .event(let event):
      handle(event: Int(event), of: tracee)
    case .systemCall:
      tracee.resume()
    case .exited(let code):
      if forget(thread) { return .exited(code: code) }
    case .killed(let signal, let coreDumped):
      if forget(thread) { return .killed(signal: signal, coreDumped: coreDumped) }
    }
    return nil
  }

  private func handle(event: Int, of tracee: Tracee) {
    switch event {
    case MALLOW_EVENT_CLONE, MALLOW_EVENT_FORK, MALLOW_EVENT_VFORK:
      announce(Int32(truncatingIfNeeded: tracee.eventMessage()), isVFork: event == MALLOW_EVENT_VFORK)
      tracee.resume()
    case MALLOW_EVENT_EXEC:
      executed(tracee)
      tracee.resume()
    case MALLOW_EVENT_EXIT:
      exits(tracee)
    default:
      tracee.resume()
    }
  }

  // MARK: New threads and processes

  private func adopt(process: Int32, sharesMemory: Bool) {
    processes[process] = WatchedProcess(id: process, sharesMemory: sharesMemory)
    processOfThread[process] = process
  }

  private func adopt(thread: Int32, of process: Int32) {
    processes[process]?.threads[thread] = .running
    processOfThread[thread] = process
  }

  /// At the first stop of a new tracee. Returns false when it is not to be resumed.
  private func greet(newThread thread: Int32) -> Bool {
    let process = ProcessStatus(thread)?.number("Tgid").map(Int32.init(truncatingIfNeeded:)) ?? thread
    if process != thread, processes[process] != nil {
      adopt(thread: thread, of: process)
      return true
    }
    if followsChildren {
      // Its parent's report says whether it still runs in its parent's memory.
      unannounced.insert(thread)
    } else {
      Tracee(thread: thread).detach()
    }
    return false
  }

  /// At its creator's report of a new thread or process.
  private func announce(_ thread: Int32, isVFork: Bool) {
    guard processOfThread[thread] == nil else { return }
    let process = ProcessStatus(thread)?.number("Tgid").map(Int32.init(truncatingIfNeeded:)) ?? thread
    if process != thread, processes[process] != nil {
      adopt(thread: thread, of: process)
    } else if followsChildren {
      adopt(process: thread, sharesMemory: isVFork)
      if unannounced.remove(thread) != nil { Tracee(thread: thread).resume() }
    }
  }

  private func executed(_ tracee: Tracee) {
    // Whichever thread executed it, it has the main thread's id now, and all others are gone.
    let process = tracee.thread
    for thread in processes[process]?.threads.keys ?? [:].keys { processOfThread[thread] = nil }
    adopt(process: process, sharesMemory: false)
    onExec(process, ProcFiles.executable(process) ?? "")
  }

  // MARK: Ends

  /// At PTRACE_EVENT_EXIT, the last moment at which a thread's registers and its memory can be read.
  private func exits(_ tracee: Tracee) {
    guard let process = processOfThread[tracee.thread] else {
      tracee.resume()
      return
    }
    let isHeld = processes[process]?.reachedExit(
      tracee.thread, code: Int32(truncatingIfNeeded: tracee.eventMessage()), systemCall: tracee.registers()?.systemCall)
    if isHeld == true {
      settle(process)
    } else {
      if process == program { peak = max(peak, ExitingProcess.peakResident(of: tracee.thread)) }
      tracee.resume()
    }
  }

  /// Hands a process over when all its threads have arrived at their exit, or lets them go when that is not its end.
  private func settle(_ process: Int32) {
    guard let watched = processes[process], watched.isHolding else { return }
    switch watched.verdict(at: monotonicNanoseconds()) {
    case .wait:
      return
    case .letGo:
      break
    case .ends(let end):
      processes[process]?.isReported = true
      let isMain = process == program
      if !watched.sharesMemory,
        let image = ExitingProcess(process, threads: watched.held, end: end, isMainProgram: isMain)
      {
        if isMain { peak = max(peak, image.peakResidentBytes) }
        onExit(image)
      }
    }
    for thread in watched.held {
      processes[process]?.threads[thread] = .leaving
      Tracee(thread: thread).resume()
    }
  }

  /// At the end of a thread. Returns true when it was the program itself.
  private func forget(_ thread: Int32) -> Bool {
    unannounced.remove(thread)
    guard let process = processOfThread.removeValue(forKey: thread) else { return false }
    processes[process]?.threads[thread] = nil
    if thread != process {
      settle(process)
      return false
    }
    for other in processes[process]?.threads.keys ?? [:].keys { processOfThread[other] = nil }
    processes[process] = nil
    // If it was killed before it could report a child, nobody else will.
    for child in unannounced { announce(child, isVFork: false) }
    return thread == program
  }

  /// Stops watching children that outlive the program.
  private func letGoOfOthers() {
    let tracees = processOfThread.keys.map { Tracee(thread: $0) } + unannounced.map { Tracee(thread: $0) }
    let deadline = monotonicNanoseconds() + 1_000_000_000
    for tracee in tracees { tracee.interrupt() }
    for tracee in tracees where tracee.detach() != 0 {
      if (try? tracee.waitForStop(process: tracee.thread, deadline: deadline)) == true { tracee.detach() }
    }
  }
}
