// What can go wrong with a target, each said in one sentence.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A target that can't be examined or started. Its description is one plain sentence.
public enum ProcessError: Error, Equatable, CustomStringConvertible {
  case noSuchProcess(Int32)
  case isMallowItself(Int32)
  case isZombie(Int32)
  case isKernelThread(Int32)
  case is32Bit(Int32)
  /// `tracer` is its process id, 0 where that is hidden.
  case alreadyTraced(Int32, tracer: Int32, tracerName: String)
  case notPermitted(Int32, owner: UInt32?, ptraceScope: Int?)
  /// The process ended while it was being examined.
  case ended(Int32)
  /// A thread sits in an uninterruptible system call.
  case doesNotStop(Int32, thread: Int32)
  /// Its system call failed.
  case failed(String, code: Int32)
  /// A program could not be started.
  case notStarted(String, code: Int32)
  /// The system refuses tracing of one's own child.
  case tracingRefused(code: Int32)

  public var description: String {
    switch self {
    case .noSuchProcess(let process):
      "There is no process \(process)."
    case .isMallowItself(let process):
      "Process \(process) is this very command, which can't stop itself."
    case .isZombie(let process):
      "Process \(process) has already ended (it is a zombie that its parent has not collected) and has no memory any more."
    case .isKernelThread(let process):
      "Process \(process) is a kernel thread, which has no memory of its own."
    case .is32Bit(let process):
      "Process \(process) is a 32-bit program; only 64-bit ones can be examined."
    case .alreadyTraced(let process, let tracer, "mallow"):
      "Process \(process) is already watched by mallow (process \(tracer)), whose own report comes when `mallow run` ends."
    case .alreadyTraced(let process, let tracer, let name):
      "Process \(process) is already traced by process \(tracer)\(name.isEmpty ? "" : " (\(name))"); end that first."
    case .notPermitted(let process, _, .some(3)):
      "Process \(process) can't be examined: kernel.yama.ptrace_scope is 3, which forbids it until the next boot."
    case .notPermitted(let process, let owner, let scope) where (scope ?? 0) > 0 && (owner == nil || owner == geteuid()):
      "You may not examine process \(process), because kernel.yama.ptrace_scope is \(scope ?? 0): run as root or with "
        + "CAP_SYS_PTRACE, or set it to 0."
    case .notPermitted(let process, let owner, _):
      "You may not examine process \(process)\(owner.map { " of user \($0)" } ?? ""): run as root or with CAP_SYS_PTRACE."
    case .ended(let process):
      "Process \(process) ended while it was being examined."
    case .doesNotStop(let process, let thread):
      "Thread \(thread) of process \(process) does not stop, because it is in an uninterruptible system call; try again later."
    case .failed(let action, let code):
      "\(action) failed: \(String(cString: strerror(code)))."
    case .notStarted(let program, let code):
      "\(program) could not be started: \(String(cString: strerror(code)))."
    case .tracingRefused(let code):
      "The system does not let mallow watch the program (\(String(cString: strerror(code)))): allow ptrace, in a container "
        + "with --cap-add=SYS_PTRACE."
    }
  }
}
