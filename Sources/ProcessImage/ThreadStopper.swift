// Stops every thread of a running process, and lets them go again as they were.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The threads of a process, stopped one by one until no new one turns up.
///
/// A stop is PTRACE_INTERRUPT's (PTRACE_EVENT_STOP): it takes no signal away from the target, and a group-stop stays in force.
/// If Mallow dies, the kernel lets all of them run on.
struct ThreadStopper {
  let process: Int32
  private(set) var threads: [StoppedThread] = []
  private var seized: [Tracee] = []
  private var gone: Set<Int32> = []

  /// - Parameter patience: how long the threads may take to stop, in nanoseconds.
  init(stopping process: Int32, patience: UInt64 = 2_000_000_000) throws {
    self.process = process
    let deadline = monotonicNanoseconds() + patience
    do {
      // A thread that ends while the list is read can hide another from it: only a second look is sure.
      var cleanLooks = 0
      while cleanLooks < 2 {
        cleanLooks = try stopNewThreads(deadline: deadline) ? 0 : cleanLooks + 1
      }
    } catch {
      release()
      throw error
    }
    guard !threads.isEmpty else { throw ProcessError.ended(process) }
  }

  /// Returns false when there was none.
  private mutating func stopNewThreads(deadline: UInt64) throws -> Bool {
    var new: [Tracee] = []
    for thread in ProcFiles.threads(of: process) where !gone.contains(thread) {
      let tracee = Tracee(thread: thread)
      guard !seized.contains(tracee) else { continue }
      switch tracee.seize() {
      case 0:
        tracee.interrupt()
        seized.append(tracee)
        new.append(tracee)
      case ESRCH:
        gone.insert(thread)
      case let code:
        // Refused because it is ending: that is no refusal of the process.
        if let status = ProcessStatus(thread), !"ZX".contains(status.state) {
          throw ProcessCheck.refusal(of: process, thread: thread, code: code)
        }
        gone.insert(thread)
      }
    }
    for tracee in new {
      if try tracee.waitForStop(process: process, deadline: deadline), let stopped = StoppedThread(tracee) {
        threads.append(stopped)
      } else {
        seized.removeAll { $0 == tracee }
        gone.insert(tracee.thread)
      }
    }
    return !new.isEmpty
  }

  /// Lets every thread run on. One that has not stopped yet gets half a second for it: the kernel only lets stopped threads go.
  /// One that was killed meanwhile is collected, the main thread last, since its end is only reported after the others'.
  func release() {
    for tracee in seized.reversed() where tracee.detach() == ESRCH {
      let deadline = monotonicNanoseconds() + 500_000_000
      if (try? tracee.waitForStop(process: process, deadline: deadline)) == true { tracee.detach() }
    }
  }
}

extension Tracee {
  /// Waits for PTRACE_EVENT_STOP, letting signals through that come first. Returns false when the thread ends instead.
  func waitForStop(process: Int32, deadline: UInt64) throws -> Bool {
    while let status = try wait(process: process, deadline: deadline) {
      switch status {
      case .stop: return true
      case .exited, .killed: return false
      case .signal(let signal): resume(signal: signal)
      case .systemCall, .event: resume()
      }
    }
    return false
  }
}
