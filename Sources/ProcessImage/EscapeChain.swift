// What a thread finds on its stack if Mallow dies while the thread runs an injected system call: the way back to its own state.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Signal frames below a stopped thread's stack, and the register sets that start system calls on top of them.
///
/// An injected call is one PTRACE_SETREGS: `rip` at `syscall; ret`, `rsp` at a return address that leads into rt_sigreturn(2)
/// with a frame prepared here. Whatever happens to Mallow, the thread makes its call, returns, and takes up its next frame:
///
///     base         → the frame of wait4(helper), which the clone leads to; the kernel itself writes the helper's id into it
///     base + 320   → the frame of exit_group(0): where the helper and the snapshot end if they are left alone
///     base + 640   → the frame with the thread's true registers and signal mask
///     base + 960     a copy of its vector registers
///
/// All of it lies above the stack pointers of these calls, so that a signal handler can't overwrite what is still needed.
struct EscapeChain {
  let base: Address
  let bytes: [UInt8]
  private let gadgets: Gadgets
  private let registers: user_regs_struct

  private static let frameSize: UInt64 = 320
  private static let redZone: UInt64 = 128
  private var exitStack: Address { base + Self.frameSize }
  private var trueStack: Address { base + 2 * Self.frameSize }

  /// Nil where the thread's stack has no safe room for it.
  init?(for thread: StoppedThread, mask: UInt64, gadgets: Gadgets, mappings: [Mapping], memory: TargetMemory) {
    self.gadgets = gadgets
    registers = thread.registers
    guard let vectors = SignalFrame.sealed(thread.extended),
      let room = Self.room(below: Address(thread.registers.rsp), mappings: mappings)
    else { return nil }
    let size = 3 * Self.frameSize + UInt64(vectors.count)
    guard room.upperBound - room.lowerBound > size + 64 else { return nil }
    base = Address((room.upperBound - size).rawValue & ~63)

    var wait = Self.call(thread.registers, gadgets, number: SYS_wait4, stack: base + 2 * Self.frameSize)
    wait.rdi = 0x8000_0000  // no process has this id: what is waited for unless a clone writes the helper's here
    wait.rdx = UInt64(MALLOW_WAIT_ALL)
    let exit = Self.call(thread.registers, gadgets, number: SYS_exit_group, stack: base + Self.frameSize)
    let own = thread.registers.runningOnAlone(memory)
    var bytes = Self.frame(wait, mask: ~0, extended: Address(0), gadgets)
    bytes += Self.frame(exit, mask: ~0, extended: Address(0), gadgets)
    bytes += Self.frame(own, mask: mask, extended: base + 3 * Self.frameSize, gadgets)
    self.bytes = bytes + vectors
  }

  /// Registers that do nothing but return to the thread's true state.
  var escape: user_regs_struct {
    var escape = registers
    escape.orig_rax = ~0
    escape.rip = gadgets.signalReturn.rawValue
    escape.rsp = (trueStack + 8).rawValue
    return escape
  }

  /// Registers that make a system call and then return to the thread's true state.
  func call(_ number: Int32, _ arguments: UInt64...) -> user_regs_struct {
    Self.call(registers, gadgets, number: number, arguments, stack: trueStack)
  }

  /// Registers that make a child which shares all with the thread's process, and wait for its end.
  var cloneHelper: user_regs_struct {
    // wait4 finds the id that CLONE_PARENT_SETTID stores in the place of its first argument.
    let flags = UInt64(MALLOW_CLONE_VM | MALLOW_CLONE_FS | MALLOW_CLONE_FILES | MALLOW_CLONE_PARENT_SETTID)
    let arguments = [flags, exitStack.rawValue, (base + 8 + SignalFrame.rdiOffset).rawValue, 0, 0]
    return Self.call(registers, gadgets, number: SYS_clone, arguments, stack: base)
  }

  /// Registers that make a call in the helper or the snapshot and then end it.
  func callInChild(_ number: Int32, _ arguments: UInt64...) -> user_regs_struct {
    Self.call(registers, gadgets, number: number, arguments, stack: exitStack)
  }

  /// A word of the chain that is free once the frames above are set up: nothing reads a frame's padding.
  var scratchWord: Address { base + 312 }

  private static func call(
    _ registers: user_regs_struct, _ gadgets: Gadgets, number: Int32, _ arguments: [UInt64] = [], stack: Address
  ) -> user_regs_struct {
    var call = registers
    let padded = arguments + [UInt64](repeating: 0, count: 6 - arguments.count)
    (call.rdi, call.rsi, call.rdx, call.r10, call.r8, call.r9) = (
      padded[0], padded[1], padded[2], padded[3], padded[4], padded[5]
    )
    call.orig_rax = ~0  // no interrupted call to restart
    call.rax = UInt64(number)
    call.rip = gadgets.systemCall.rawValue
    call.rsp = stack.rawValue
    return call
  }

  private static func frame(_ registers: user_regs_struct, mask: UInt64, extended: Address, _ gadgets: Gadgets) -> [UInt8] {
    let address = (0..<8).map { UInt8(truncatingIfNeeded: gadgets.signalReturn.rawValue >> ($0 * 8)) }
    return address + SignalFrame.context(registers, mask: mask, extended: extended) + [UInt8](repeating: 0, count: 8)
  }

  /// The addresses below a stack pointer, and below the red zone, that are surely this stack's and unused. A stack without a guard
  /// below it may be a coroutine's, with someone else's data next to it.
  private static func room(below stackPointer: Address, mappings: [Mapping]) -> Range<Address>? {
    let reach = stackPointer - redZone
    guard reach < stackPointer, let index = mappings.firstIndex(where: { $0.contains(stackPointer) }) else { return nil }
    let stack = mappings[index]
    guard stack.isReadable, stack.isWritable, !stack.isShared, reach > stack.start else { return nil }
    if stack.name == "[stack]" { return stack.start..<reach }
    guard index > 0 else { return nil }
    let guardPages = mappings[index - 1]
    let isGuarded = guardPages.end == stack.start && !guardPages.isReadable && !guardPages.isWritable && !guardPages.isExecutable
    return isGuarded && stack.inode == 0 ? stack.start..<reach : nil
  }
}

extension user_regs_struct {
  /// The registers with which a thread goes on without the kernel's help: an interrupted system call is made again, from the
  /// start. Its time-out starts anew too; where the call can't be told any more, it fails with EINTR.
  func runningOnAlone(_ memory: TargetMemory) -> user_regs_struct {
    var result = self
    result.orig_rax = ~0
    guard let systemCall else { return result }
    switch rax {
    case RestartCode.system, RestartCode.noInterrupt, RestartCode.noHandler:
      result.rip -= 2
      result.rax = UInt64(systemCall)
    case RestartCode.block:
      let number = systemCall == Int(SYS_restart_syscall) ? restartedCall(memory) : systemCall
      if let number {
        result.rip -= 2
        result.rax = UInt64(number)
      } else {
        result.rax = 0 &- UInt64(EINTR)
      }
    default: break
    }
    return result
  }

  /// The call that restart_syscall(2) continues, from the code before it: `mov $number, %eax; syscall`.
  private func restartedCall(_ memory: TargetMemory) -> Int? {
    let code = memory.bytes(Address(rip &- 7), count: 7)
    guard code.count == 7, code[0] == 0xb8, code[5...] == [0x0f, 0x05] else { return nil }
    let number = Int(code[1]) | Int(code[2]) << 8
    let timed = [SYS_poll, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex]
    return code[3] == 0 && code[4] == 0 && timed.contains(Int32(number)) ? number : nil
  }
}
