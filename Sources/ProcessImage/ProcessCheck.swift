// Finds out whether a process can be examined at all, and why not.
// SPDX-License-Identifier: Apache-2.0
import Glibc

enum ProcessCheck {
  /// The process that `identifier` names: itself, or the one that a thread of this id belongs to.
  /// - Throws: the ``ProcessError`` that makes it impossible to examine, as far as that is visible without trying.
  static func examinableProcess(_ identifier: Int32, allows32Bit: Bool = false) throws(ProcessError) -> Int32 {
    guard identifier > 0, let status = ProcessStatus(identifier) else { throw .noSuchProcess(identifier) }
    let process = status.number("Tgid").map(Int32.init(truncatingIfNeeded:)) ?? identifier
    if process == getpid() { throw .isMallowItself(process) }
    if let tracer = tracer(of: status) { throw .alreadyTraced(process, tracer: tracer.process, tracerName: tracer.name) }
    let living = try existingProcess(process).livingThread
    if !allows32Bit, let header = ProcFiles.read("/proc/\(living)/exe", limit: 5), header.count > 4, header[4] == 1 {
      throw .is32Bit(process)
    }
    return process
  }

  /// The process that `identifier` names, by its id or a thread's, and a living thread of it.
  /// - Throws: the ``ProcessError`` that says why it has no memory to look at.
  static func existingProcess(_ identifier: Int32) throws(ProcessError) -> (id: Int32, livingThread: Int32) {
    guard identifier > 0, let status = ProcessStatus(identifier) else { throw .noSuchProcess(identifier) }
    let process = status.number("Tgid").map(Int32.init(truncatingIfNeeded:)) ?? identifier
    // A main thread that has ended while others live on looks like a zombie too.
    let living = ProcFiles.threads(of: process).first { ProcessStatus($0).map { !"ZX".contains($0.state) } ?? false }
    guard let living else { throw ProcessStatus(process) == nil ? .noSuchProcess(process) : .isZombie(process) }
    if ProcessStatus(living)?["VmSize"] == nil, ProcFiles.link("/proc/\(living)/exe") == nil, errno == ENOENT {
      throw .isKernelThread(process)
    }
    return (process, living)
  }

  /// Why PTRACE_SEIZE was refused with `code`.
  static func refusal(of process: Int32, thread: Int32, code: Int32) -> ProcessError {
    guard let status = ProcessStatus(thread) else { return .ended(process) }
    if let tracer = tracer(of: status) {
      return .alreadyTraced(process, tracer: tracer.process, tracerName: tracer.name)
    }
    guard code == EPERM || code == EACCES else { return .failed("Stopping process \(process)", code: code) }
    let scope = ProcFiles.text("/proc/sys/kernel/yama/ptrace_scope").flatMap { Int($0.prefix { $0.isNumber }) }
    return .notPermitted(process, owner: status.number("Uid").map(UInt32.init(truncatingIfNeeded:)), ptraceScope: scope)
  }

  private static func tracer(of status: ProcessStatus) -> (process: Int32, name: String)? {
    guard let thread = status.number("TracerPid").map(Int32.init(truncatingIfNeeded:)), thread != 0 else { return nil }
    let process = ProcessStatus(thread)?.number("Tgid").map(Int32.init(truncatingIfNeeded:)) ?? thread
    return (process, ProcFiles.threadName(process))
  }
}
