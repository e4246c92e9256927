// Runs one system call in a stopped thread that is not its own.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

struct InjectedCaller {
  let process: Int32
  /// A fork of a terabyte takes twenty seconds.
  let deadline = monotonicNanoseconds() + 60_000_000_000

  struct Outcome {
    /// What the call returned: an id in the target's own namespace where it makes a process.
    let result: Int64
    /// The id of the process that the call made, as seen from here; it is traced already.
    let child: Int32?

    var error: String { String(cString: strerror(Int32(truncatingIfNeeded: -result))) }
  }

  /// Makes a thread that is in PTRACE_EVENT_STOP run the call that `registers` stand at, and come back to PTRACE_EVENT_STOP right
  /// after it, before it runs any other instruction.
  func call(_ tracee: Tracee, _ registers: user_regs_struct) throws -> Outcome {
    guard tracee.setRegisters(registers) == 0 else { throw ProcessError.ended(process) }
    var child: Int32?
    var signal: Int32 = 0
    var isInside = false
    while true {
      tracee.resumeToSystemCall(signal: signal)
      signal = 0
      switch try tracee.wait(process: process, deadline: deadline) {
      case .systemCall:
        isInside.toggle()
        guard !isInside, let after = tracee.registers() else { continue }
        // Interrupted by a stop of the whole process: the kernel makes the call again.
        if after.rax == RestartCode.noInterrupt || after.rax == RestartCode.system { continue }
        try stop(tracee)
        return Outcome(result: Int64(bitPattern: after.rax), child: child)
      case .event:
        child = Int32(truncatingIfNeeded: tracee.eventMessage())
      case .signal(let number):
        signal = number
      case .stop:
        continue
      case .exited, .killed, nil:
        throw ProcessError.ended(process)
      }
    }
  }

  private func stop(_ tracee: Tracee) throws {
    tracee.interrupt()
    tracee.resume()
    guard try tracee.waitForStop(process: process, deadline: deadline) else { throw ProcessError.ended(process) }
  }
}

extension StoppedThread {
  /// Whether the thread was stopped inside a restartable sequence (rseq(2)). The kernel aborts such a sequence only while the
  /// program counter is in it, so the thread may not be borrowed meanwhile.
  func isInRestartableSequence(_ memory: TargetMemory) -> Bool {
    guard let area = tracee.restartableSequenceArea(), let sequence = memory.load(area + 8, as: UInt64.self), sequence != 0,
      let start = memory.load(Address(sequence) + 8, as: UInt64.self),
      let length = memory.load(Address(sequence) + 16, as: UInt64.self)
    else { return false }
    return registers.rip >= start && registers.rip - start < length
  }
}
