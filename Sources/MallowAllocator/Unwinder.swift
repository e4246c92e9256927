// Call stacks of the running thread, by the call frame information that compilers emit for exceptions (.eh_frame; DWARF 5
// section 6.4, System V ABI for AMD64 section 3.7), whether code keeps frame pointers or not. Nothing is allocated and no lock
// is taken: modules are found by glibc's _dl_find_object. The rule of each return address is cached.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// The registers that finding the caller needs.
struct UnwindRegisters {
  var programCounter: UInt64
  var stackPointer: UInt64
  var framePointer: UInt64
}

/// Writes the return addresses of the running thread's frames, innermost first.
/// - Returns: how many.
@inline(never)
func unwind(into buffer: UnsafeMutableBufferPointer<UInt64>) -> Int {
  var programCounter: UInt64 = 0
  var stackPointer: UInt64 = 0
  var framePointer: UInt64 = 0
  mallow_registers(&programCounter, &stackPointer, &framePointer)
  var registers = UnwindRegisters(programCounter: programCounter, stackPointer: stackPointer, framePointer: framePointer)
  let limit = stackLimit(from: stackPointer)
  var depth = 0
  var isExact = true  // the program counter is the running instruction's own, not a return address behind a call
  while depth < buffer.count {
    var rule = UnwindRule(cachedFor: registers.programCounter)
    if rule == nil {
      rule = UnwindRule(at: isExact ? registers.programCounter : registers.programCounter &- 1)
      rule?.cache(for: registers.programCounter)
    }
    guard let next = rule.map({ $0.step(registers, limit: limit) }) ?? stepByFramePointer(registers, limit: limit) else { break }
    isExact = rule?.isSignalFrame ?? false
    registers = next
    if registers.programCounter == 0 { break }
    buffer[depth] = registers.programCounter
    depth &+= 1
  }
  return depth
}

/// The first address above the running thread's stack, as far as that can be told without asking the system.
private func stackLimit(from stackPointer: UInt64) -> UInt64 {
  // A thread's control block lies at the upper end of its stack, the first thread's below its stack. This is looked at first: threads'
  // stacks may lie not far below the first thread's.
  let thread = UInt64(UInt(pthread_self()))
  if stackPointer < thread && thread &- stackPointer < 1 << 30 { return thread }
  let top = mallow_stack_end()
  if stackPointer < top && top &- stackPointer < 1 << 30 { return top }
  // Some other stack, a coroutine's say: the call frame information has to be right by itself.
  return stackPointer &+ 1 << 20
}

/// Code without call frame information, a just-in-time compiler's say: follow the frame pointer while it is plausible.
private func stepByFramePointer(_ registers: UnwindRegisters, limit: UInt64) -> UnwindRegisters? {
  let frame = registers.framePointer
  guard frame >= registers.stackPointer, frame & 7 == 0, frame &+ 16 <= limit, frame &- registers.stackPointer < 65536 else { return nil }
  return UnwindRegisters(programCounter: word(at: frame &+ 8), stackPointer: frame &+ 16, framePointer: word(at: frame))
}
