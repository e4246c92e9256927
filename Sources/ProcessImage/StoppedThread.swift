// A stopped thread's registers, and how its interrupted system call goes on.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// A traced thread in a ptrace stop, with its registers as it stopped.
struct StoppedThread {
  let tracee: Tracee
  let registers: user_regs_struct
  let extended: [UInt8]
  let name: String

  /// Reads the registers. A system call that would fail because of the stop becomes one that the kernel restarts unless a signal
  /// handler runs first; until that is done the target could notice the stop if Mallow died. Nil when the thread is gone.
  init?(_ tracee: Tracee) {
    guard var registers = tracee.registers() else { return nil }
    if registers.isInterruptedByStop {
      registers.rax = RestartCode.noHandler
      guard tracee.setRegisters(registers) == 0 else { return nil }
    }
    self.tracee = tracee
    self.registers = registers
    extended = tracee.extendedRegisters()
    name = ProcFiles.threadName(tracee.thread)
  }

  var state: ThreadState { ThreadState(threadID: tracee.thread, name: name, registers: registers, extended: extended) }
}

extension ThreadState {
  /// - Parameter extended: the XSAVE area, or only the FXSAVE area that it begins with.
  init(threadID: Int32, name: String, registers r: user_regs_struct, extended: [UInt8]) {
    var words = [
      r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip,
      r.eflags, r.orig_rax, r.fs_base, r.gs_base,
    ]
    words += Self.vectorWords(extended)
    self.init(
      threadID: threadID, name: name, stackPointer: Address(r.rsp), programCounter: Address(r.rip), threadPointer: Address(r.fs_base),
      registerWords: words)
  }

  /// The words of an XSAVE area that are not zero: the x87 and XMM registers, and past the header (bytes 512 ..< 576) the upper
  /// parts of the YMM and ZMM registers with whatever else the processor keeps there (Intel SDM volume 1, chapter 13).
  static func vectorWords(_ area: [UInt8]) -> [UInt64] {
    area.withUnsafeBytes { bytes in
      var words: [UInt64] = []
      for offset in stride(from: 32, to: bytes.count - 7, by: 8) where offset < 416 || offset >= 576 {
        let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        if word != 0 { words.append(word) }
      }
      return words
    }
  }
}

/// The kernel's codes for a system call that a stop has interrupted (its include/linux/errno.h). It leaves them in `rax`
/// until the thread goes on, and then restarts the call, or makes it fail with EINTR if a signal handler runs first.
enum RestartCode {
  static let system: UInt64 = 0 &- 512  // ERESTARTSYS
  static let noInterrupt: UInt64 = 0 &- 513  // ERESTARTNOINTR
  static let noHandler: UInt64 = 0 &- 514  // ERESTARTNOHAND
  static let block: UInt64 = 0 &- 516  // ERESTART_RESTARTBLOCK
}

extension user_regs_struct {
  /// The number of the system call that the thread is in, or nil in user mode.
  var systemCall: Int? { Int64(bitPattern: orig_rax) >= 0 ? Int(orig_rax) : nil }

  /// Whether the call fails with EINTR only because the thread was stopped. signal(7) lists calls that do so, instead of being
  /// restarted; sockets with a time-out are among them.
  var isInterruptedByStop: Bool {
    guard let systemCall, rax == 0 &- UInt64(EINTR) else { return false }
    return (cs == Self.segmentOf32BitCode ? Self.callsThatFailWhenStopped32Bit : Self.callsThatFailWhenStopped).contains(systemCall)
  }

  private static let segmentOf32BitCode: UInt = 0x23

  /// The same calls by their numbers in 32-bit programs (the kernel's syscall_32.tbl): read, write, socketcall, ipc, readv, writev,
  /// rt_sigtimedwait, io_getevents, epoll_wait, epoll_pwait, recvmmsg, sendmmsg, accept4, sendto, sendmsg, recvfrom, recvmsg,
  /// recvmmsg_time64, semtimedop_time64, rt_sigtimedwait_time64, io_uring_enter, epoll_pwait2.
  private static let callsThatFailWhenStopped32Bit: Set<Int> = [
    3, 4, 102, 117, 145, 146, 177, 247, 256, 319, 337, 345, 364, 369, 370, 371, 372, 417, 420, 421, 426, 441,
  ]

  private static let callsThatFailWhenStopped: Set<Int> = [
    Int(SYS_epoll_wait), Int(SYS_epoll_pwait), Int(SYS_epoll_pwait2), Int(SYS_rt_sigtimedwait), Int(SYS_semop),
    Int(SYS_semtimedop), Int(SYS_io_getevents), Int(SYS_io_uring_enter), Int(SYS_read), Int(SYS_readv), Int(SYS_recvfrom),
    Int(SYS_recvmsg), Int(SYS_recvmmsg), Int(SYS_accept), Int(SYS_accept4), Int(SYS_write), Int(SYS_writev), Int(SYS_sendto),
    Int(SYS_sendmsg), Int(SYS_sendmmsg),
  ]
}
