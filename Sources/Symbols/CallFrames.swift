// The frames of a thread's stack, found by call frame information as debuggers do.
// SPDX-License-Identifier: Apache-2.0

import CElfutils
import Glibc
import ProcessImage

/// One call on a thread's stack: an activation of a function, inlined calls included.
public struct CallFrame: Sendable {
  /// Where the thread is in it: the next instruction, or the return address of the call that it waits for.
  public var programCounter: Address
  /// Whether that is a return address; the call is then the instruction before.
  public var isReturnAddress: Bool
  /// Its part of the stack: from its stack pointer up to and with the return address to its caller.
  public var stack: Range<Address>
  /// By DWARF's numbers; nil where a call has overwritten the value.
  var registers: [UInt64?]
  /// Whether call frame information led to its caller; else the chain of frame pointers did.
  var isExact: Bool
}

/// Unwinds stacks of a target, live or dead: of the stack and the registers, and of the files' call frame information
/// (`.eh_frame`, else `.debug_frame`) where there is any. Code without it is passed by its frame pointer.
public final class CallFrames {
  let image: any ProcessImage
  let symbolizer: Symbolizer
  private var tables: [ObjectIdentifier: Tables] = [:]

  private static let stackRegister = 7
  private static let frameRegister = 6
  private static let returnRegister = 16
  /// Below the stack pointer a leaf function may use this much (System V ABI for x86-64, "red zone").
  private static let redZone: UInt64 = 128

  public init(image: any ProcessImage, symbolizer: Symbolizer) {
    self.image = image
    self.symbolizer = symbolizer
  }

  /// The frame whose part of the stack contains an address, and its depth: 0 is the innermost.
  public func frame(of thread: ThreadState, containing address: Address, limit: Int = 1 << 17) -> (frame: CallFrame, depth: Int)?
  {
    guard address >= thread.stackPointer - Self.redZone else { return nil }
    var depth = 0
    var result: (CallFrame, Int)?
    forEachFrame(of: thread) { frame in
      if frame.stack.contains(address) { result = (frame, depth) }
      depth += 1
      return result == nil && depth < limit && frame.stack.upperBound <= address
    }
    return result
  }

  /// A thread's frames, innermost first.
  public func frames(of thread: ThreadState, limit: Int = 1024) -> [CallFrame] {
    var frames: [CallFrame] = []
    forEachFrame(of: thread) { frame in
      frames.append(frame)
      return frames.count < limit
    }
    return frames
  }

  /// Calls `body` for each frame, innermost first, until it returns false.
  private func forEachFrame(of thread: ThreadState, _ body: (CallFrame) -> Bool) {
    guard var registers = Self.dwarfRegisters(of: thread) else { return }
    var isReturnAddress = false
    var low = thread.stackPointer - Self.redZone
    while let pc = registers[Self.returnRegister], let sp = registers[Self.stackRegister] {
      guard let step = step(from: registers, isReturnAddress: isReturnAddress), step.canonicalFrame > low.rawValue else { return }
      let frame = CallFrame(
        programCounter: Address(pc), isReturnAddress: isReturnAddress, stack: low..<Address(step.canonicalFrame),
        registers: registers,
        isExact: step.isExact)
      guard body(frame), step.canonicalFrame > sp, let next = step.registers[Self.returnRegister], next != 0 else { return }
      low = Address(step.canonicalFrame)
      registers = step.registers
      isReturnAddress = !step.isSignal
    }
  }

  /// The registers of a thread by DWARF's numbers.
  private static func dwarfRegisters(of thread: ThreadState) -> [UInt64?]? {
    let words = thread.registerWords
    guard words.count >= 17, words[7] == thread.stackPointer.rawValue, words[16] == thread.programCounter.rawValue else {
      return nil
    }
    // From the order of ``ThreadState/registerWords``: rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 … r15, rip.
    return ([0, 3, 2, 1] + Array(4...16)).map { words[$0] }
  }

  private struct Step {
    var canonicalFrame: UInt64
    /// The caller's.
    var registers: [UInt64?]
    var isSignal = false
    var isExact: Bool
  }

  private func step(from registers: [UInt64?], isReturnAddress: Bool) -> Step? {
    stepByTables(from: registers, isReturnAddress: isReturnAddress) ?? stepByFramePointer(from: registers)
  }

  private func stepByTables(from registers: [UInt64?], isReturnAddress: Bool) -> Step? {
    guard let pc = registers[Self.returnRegister] else { return nil }
    let address = Address(isReturnAddress ? pc &- 1 : pc)
    guard let module = symbolizer.module(containing: address), let link = module.linkAddress(address), let file = module.file,
      let bias = module.bias, let rules = tables(of: file).frame(at: link)
    else { return nil }
    defer { free(UnsafeMutableRawPointer(rules)) }
    var context = ExpressionContext(
      registers: registers, bias: bias, load: { [image] in image.load(Address($0), as: UInt64.self) })
    var operations: UnsafeMutablePointer<Dwarf_Op>?
    var count = 0
    guard dwarf_frame_cfa(rules, &operations, &count) == 0, count > 0,
      case .address(let canonicalFrame)? = evaluate(UnsafeBufferPointer(start: operations, count: count), in: context)
    else { return nil }
    context.canonicalFrame = canonicalFrame
    var caller = (0...Self.returnRegister).map { callerValue(of: $0, rules, context) }
    // What the stack pointer is after the return, where no rule says otherwise.
    if caller[Self.stackRegister] == nil || caller[Self.stackRegister] == registers[Self.stackRegister] {
      caller[Self.stackRegister] = canonicalFrame
    }
    var isSignal = false
    dwarf_frame_info(rules, nil, nil, &isSignal)
    return Step(canonicalFrame: canonicalFrame, registers: caller, isSignal: isSignal, isExact: true)
  }

  private func callerValue(of register: Int, _ rules: OpaquePointer, _ context: ExpressionContext) -> UInt64? {
    withUnsafeTemporaryAllocation(of: Dwarf_Op.self, capacity: 3) { memory in
      var operations: UnsafeMutablePointer<Dwarf_Op>?
      var count = 0
      guard dwarf_frame_register(rules, Int32(register), memory.baseAddress!, &operations, &count) == 0 else { return nil }
      if count == 0 { return operations == nil ? context.registers[register] : nil }
      switch evaluate(UnsafeBufferPointer(start: operations, count: count), in: context) {
      case .address(let address): return context.load(address)
      case .value(let value): return value
      case .register(let other): return context.registers.indices.contains(other) ? context.registers[other] : nil
      case nil: return nil
      }
    }
  }

  /// Code that was made at run time, or assembled without call frame information.
  private func stepByFramePointer(from registers: [UInt64?]) -> Step? {
    guard let base = registers[Self.frameRegister], let sp = registers[Self.stackRegister], base >= sp, base & 7 == 0,
      base < .max - 16,
      let mapping = image.mapping(containing: Address(sp)), mapping.contains(Address(base + 8)),
      let caller = image.load(Address(base), as: UInt64.self), let pc = image.load(Address(base + 8), as: UInt64.self),
      image.mapping(containing: Address(pc))?.isExecutable == true
    else { return nil }
    var result = [UInt64?](repeating: nil, count: Self.returnRegister + 1)
    result[Self.frameRegister] = caller
    result[Self.stackRegister] = base + 16
    result[Self.returnRegister] = pc
    return Step(canonicalFrame: base + 16, registers: result, isExact: false)
  }

  private func tables(of file: ObjectFile) -> Tables {
    if let known = tables[ObjectIdentifier(file)] { return known }
    let new = Tables(file)
    tables[ObjectIdentifier(file)] = new
    return new
  }

  /// A file's call frame information.
  private final class Tables {
    private let file: ObjectFile
    private let exceptionFrames: OpaquePointer?

    init(_ file: ObjectFile) {
      self.file = file
      exceptionFrames = dwarf_getcfi_elf(file.elf)
    }

    deinit { dwarf_cfi_end(exceptionFrames) }

    /// The rules at a link-time address, to be freed.
    func frame(at address: UInt64) -> OpaquePointer? {
      var frame: OpaquePointer?
      if let exceptionFrames, dwarf_cfi_addrframe(exceptionFrames, address, &frame) == 0 { return frame }
      if let debug = file.debugInformation, let frames = dwarf_getcfi(debug.dwarf),
        dwarf_cfi_addrframe(frames, address, &frame) == 0
      {
        return frame
      }
      return nil
    }
  }
}
