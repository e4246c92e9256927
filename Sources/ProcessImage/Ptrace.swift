// Typed wrappers over ptrace(2) and waitpid(2): the one seam through which threads are stopped, read, changed and let go.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// What waitpid(2) says of a traced thread.
enum WaitStatus: Equatable {
  case exited(code: Int32)
  case killed(signal: Int32, coreDumped: Bool)
  /// A signal is about to be delivered: the tracer decides.
  case signal(Int32)
  /// Entry to or exit from a system call (PTRACE_SYSCALL with PTRACE_O_TRACESYSGOOD).
  case systemCall
  /// PTRACE_EVENT_STOP: by PTRACE_INTERRUPT, of a new thread, or a group-stop; `signal` is SIGTRAP unless it is a group-stop.
  case stop(signal: Int32)
  /// Another PTRACE_EVENT_*.
  case event(Int32)

  init(raw status: Int32) {
    let low = status & 0x7f
    if low == 0 {
      self = .exited(code: (status >> 8) & 0xff)
    } else if low != 0x7f {
      self = .killed(signal: low, coreDumped: status & 0x80 != 0)
    } else {
      let signal = (status >> 8) & 0xff
      switch status >> 16 {
      case 0: self = signal == SIGTRAP | 0x80 ? .systemCall : .signal(signal)
      case Int32(MALLOW_EVENT_STOP): self = .stop(signal: signal)
      case let event: self = .event(event)
      }
    }
  }
}

/// A thread that the calling thread traces, or is about to trace. Requests fail with ESRCH unless it is stopped.
struct Tracee: Hashable {
  let thread: Int32

  /// Begins to trace without stopping. Returns 0 or `errno`.
  func seize(options: Int32 = 0) -> Int32 { request(MALLOW_PTRACE_SEIZE, data: UInt(options)) }

  /// Makes it stop with PTRACE_EVENT_STOP at its next return to user mode. Returns 0 or `errno`.
  @discardableResult
  func interrupt() -> Int32 { request(MALLOW_PTRACE_INTERRUPT) }

  @discardableResult
  func resume(signal: Int32 = 0) -> Int32 { request(MALLOW_PTRACE_CONT, data: UInt(signal)) }

  @discardableResult
  func resumeToSystemCall(signal: Int32 = 0) -> Int32 { request(MALLOW_PTRACE_SYSCALL, data: UInt(signal)) }

  /// Leaves it in its group-stop, but lets it report when that ends.
  @discardableResult
  func listen() -> Int32 { request(MALLOW_PTRACE_LISTEN) }

  @discardableResult
  func detach(signal: Int32 = 0) -> Int32 { request(MALLOW_PTRACE_DETACH, data: UInt(signal)) }

  @discardableResult
  func setOptions(_ options: Int32) -> Int32 { request(MALLOW_PTRACE_SETOPTIONS, data: UInt(options)) }

  /// The message of the event that it stopped for.
  func eventMessage() -> UInt {
    var message: UInt = 0
    _ = withUnsafeMutablePointer(to: &message) { request(MALLOW_PTRACE_GETEVENTMSG, data: UInt(bitPattern: $0)) }
    return message
  }

  /// The general registers, or nil when it is not stopped.
  func registers() -> user_regs_struct? {
    var registers = user_regs_struct()
    let error = withUnsafeMutablePointer(to: &registers) { request(MALLOW_PTRACE_GETREGS, data: UInt(bitPattern: $0)) }
    return error == 0 ? registers : nil
  }

  /// Sets all general registers at once. Returns 0 or `errno`.
  func setRegisters(_ registers: user_regs_struct) -> Int32 {
    withUnsafePointer(to: registers) { request(MALLOW_PTRACE_SETREGS, data: UInt(bitPattern: $0)) }
  }

  /// The XSAVE area in its standard, uncompacted form: all vector registers. Empty where there is none.
  func extendedRegisters() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32768) { buffer, count in
      var range = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
      let error = withUnsafeMutablePointer(to: &range) {
        request(MALLOW_PTRACE_GETREGSET, address: UInt(NT_X86_XSTATE), data: UInt(bitPattern: $0))
      }
      count = error == 0 ? min(range.iov_len, buffer.count) : 0
    }
  }

  /// The blocked signals: inside sigsuspend(2) and its like those that will be blocked again afterwards.
  func signalMask() -> UInt64? {
    var mask: UInt64 = 0
    let error = withUnsafeMutablePointer(to: &mask) {
      request(MALLOW_PTRACE_GETSIGMASK, address: 8, data: UInt(bitPattern: $0))
    }
    return error == 0 ? mask : nil
  }

  /// Returns 0 or `errno`.
  func setSignalMask(_ mask: UInt64) -> Int32 {
    withUnsafePointer(to: mask) { request(MALLOW_PTRACE_SETSIGMASK, address: 8, data: UInt(bitPattern: $0)) }
  }

  /// The address of the thread's `struct rseq`, or nil where none is registered or the kernel can't tell.
  func restartableSequenceArea() -> Address? {
    var area: (pointer: UInt64, size: UInt32, signature: UInt32, flags: UInt32, pad: UInt32) = (0, 0, 0, 0, 0)
    let size = UInt(MemoryLayout.size(ofValue: area))
    let count = withUnsafeMutablePointer(to: &area) {
      mallow_ptrace(Int32(MALLOW_PTRACE_GET_RSEQ_CONFIGURATION), thread, size, UInt(bitPattern: $0))
    }
    return count > 0 && area.pointer != 0 ? Address(area.pointer) : nil
  }

  /// Waits for its next report until `deadline` (``monotonicNanoseconds()``). Nil when it is gone without one.
  /// - Throws: ``ProcessError/doesNotStop(_:thread:)`` at the deadline.
  func wait(process: Int32, deadline: UInt64) throws -> WaitStatus? {
    try ChildSignal.blocked {
      while true {
        var status: Int32 = 0
        let result = waitpid(thread, &status, Int32(MALLOW_WAIT_ALL) | WNOHANG)
        if result == thread { return WaitStatus(raw: status) }
        if result < 0 && errno != EINTR { return nil }
        if monotonicNanoseconds() > deadline { throw ProcessError.doesNotStop(process, thread: thread) }
        ChildSignal.wait()
      }
    }
  }

  private func request(_ request: Int, address: UInt = 0, data: UInt = 0) -> Int32 {
    mallow_ptrace(Int32(request), thread, address, data) == -1 ? errno : 0
  }
}

/// CLOCK_MONOTONIC.
func monotonicNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Waiting for a report of a thread with a time limit, which waitpid(2) does not have.
enum ChildSignal {
  /// Runs `body`, which looks for a report and calls ``wait()`` as long as there is none.
  static func blocked<R>(_ body: () throws -> R) rethrows -> R {
    var child = set
    var old = sigset_t()
    pthread_sigmask(SIG_BLOCK, &child, &old)
    defer { pthread_sigmask(SIG_SETMASK, &old, nil) }
    return try body()
  }

  /// Waits until the kernel announces a report by SIGCHLD; a millisecond at most, since another thread can take that signal.
  static func wait() {
    var child = set
    var limit = timespec(tv_sec: 0, tv_nsec: 1_000_000)
    sigtimedwait(&child, nil, &limit)
  }

  private static var set: sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGCHLD)
    return set
  }
}
