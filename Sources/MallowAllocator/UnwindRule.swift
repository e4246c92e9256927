// How to get from one frame to its caller: what a row of the call frame information says, reduced to what x86-64 code uses.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// A value that is computed from a frame's registers.
enum UnwindLocation {
  /// The value itself, unchanged.
  case unchanged
  /// Stored at this offset from the canonical frame address.
  case atOffset(Int32)
  /// Stored at the address that a DWARF expression gives; the address of its length-prefixed bytes.
  case atExpression(UInt64)
  /// Not to be found.
  case undefined
}

/// The canonical frame address: the stack pointer as it was before the call.
enum FrameAddress {
  case stackPointer(Int32)
  case framePointer(Int32)
  case expression(UInt64)
}

struct UnwindRule {
  var frameAddress = FrameAddress.stackPointer(8)
  var framePointer = UnwindLocation.unchanged
  var returnAddress = UnwindLocation.atOffset(-8)
  /// The frame is the kernel's, around a signal handler: its caller was interrupted, it has not called.
  var isSignalFrame = false

  /// The caller's registers, or nil at the end of the stack.
  func step(_ registers: UnwindRegisters, limit: UInt64) -> UnwindRegisters? {
    var address: UInt64
    switch frameAddress {
    case .stackPointer(let offset): address = registers.stackPointer &+ UInt64(bitPattern: Int64(offset))
    case .framePointer(let offset): address = registers.framePointer &+ UInt64(bitPattern: Int64(offset))
    case .expression(let start):
      guard let value = evaluate(start, registers, initial: nil, limit: limit) else { return nil }
      address = value
    }
    // The stack grows downwards: a caller's frame lies above. A signal handler may run on a stack of its own.
    if !isSignalFrame && (address <= registers.stackPointer || address > limit) { return nil }
    guard let programCounter = load(returnAddress, at: address, keeping: registers.programCounter, registers, limit),
      let framePointer = load(framePointer, at: address, keeping: registers.framePointer, registers, limit)
    else { return nil }
    return UnwindRegisters(programCounter: programCounter, stackPointer: address, framePointer: framePointer)
  }

  private func load(
    _ location: UnwindLocation, at frame: UInt64, keeping value: UInt64, _ registers: UnwindRegisters, _ limit: UInt64
  ) -> UInt64? {
    switch location {
    case .unchanged: return value
    case .undefined: return nil
    case .atOffset(let offset): return word(at: frame &+ UInt64(bitPattern: Int64(offset)))
    case .atExpression(let start):
      guard let address = evaluate(start, registers, initial: frame, limit: limit) else { return nil }
      return word(at: address)
    }
  }

  /// The few DWARF operations that occur in call frame information (DWARF 5, section 2.5).
  private func evaluate(_ start: UInt64, _ registers: UnwindRegisters, initial: UInt64?, limit: UInt64) -> UInt64? {
    var reader = ByteReader(at: start)
    let length = reader.unsigned()
    let end = reader.address &+ length
    var stack = InlineArray<8, UInt64>(repeating: 0)
    var depth = 0
    if let initial {
      stack[0] = initial
      depth = 1
    }
    while reader.address < end {
      let operation = reader.byte()
      if depth > 7 { return nil }
      switch operation {
      case 0x06:  // deref
        if depth < 1 || stack[depth &- 1] & 7 != 0 { return nil }
        stack[depth &- 1] = word(at: stack[depth &- 1])
      case 0x08: stack[depth] = UInt64(reader.byte()); depth &+= 1  // const1u
      case 0x09: stack[depth] = UInt64(bitPattern: Int64(Int8(bitPattern: reader.byte()))); depth &+= 1  // const1s
      case 0x10: stack[depth] = reader.unsigned(); depth &+= 1  // constu
      case 0x11: stack[depth] = UInt64(bitPattern: reader.signed()); depth &+= 1  // consts
      case 0x1a, 0x1c, 0x22, 0x24, 0x2a:  // and, minus, plus, shl, ge
        if depth < 2 { return nil }
        let b = stack[depth &- 1]
        let a = stack[depth &- 2]
        depth &-= 1
        switch operation {
        case 0x1a: stack[depth &- 1] = a & b
        case 0x1c: stack[depth &- 1] = a &- b
        case 0x22: stack[depth &- 1] = a &+ b
        case 0x24: stack[depth &- 1] = b < 64 ? a &<< b : 0
        default: stack[depth &- 1] = Int64(bitPattern: a) >= Int64(bitPattern: b) ? 1 : 0
        }
      case 0x23:  // plus_uconst
        if depth < 1 { return nil }
        stack[depth &- 1] &+= reader.unsigned()
      case 0x30...0x4f: stack[depth] = UInt64(operation &- 0x30); depth &+= 1  // lit0...
      case 0x70...0x8f:  // breg0...
        let offset = UInt64(bitPattern: reader.signed())
        switch operation {
        case 0x76: stack[depth] = registers.framePointer &+ offset
        case 0x77: stack[depth] = registers.stackPointer &+ offset
        case 0x80: stack[depth] = registers.programCounter &+ offset
        default: return nil
        }
        depth &+= 1
      default: return nil
      }
    }
    return depth > 0 ? stack[depth &- 1] : nil
  }
}

// The cache: one direct-mapped table for all threads. Two words an entry, without a lock: the first is the address exclusive-or
// the second, so that an entry torn between two writers matches no address.

private let cacheEntries: UInt64 = 2048

extension UnwindRule {
  private static func entry(_ programCounter: UInt64) -> UnsafeMutablePointer<UInt64>? {
    let table = mallow_state.rule_cache
    if table == 0 { return nil }
    let index = (programCounter &* 0x9E37_79B9_7F4A_7C15) &>> 53
    return UnsafeMutablePointer<UInt64>(bitPattern: UInt(table &+ index % cacheEntries &* 16))
  }

  /// The rule that was cached for a program counter.
  init?(cachedFor programCounter: UInt64) {
    guard let entry = UnwindRule.entry(programCounter) else { return nil }
    let packed = entry[1]
    if packed == 0 || entry[0] ^ packed != programCounter { return nil }
    let offset = Int32(truncatingIfNeeded: packed &>> 32)
    frameAddress = packed & 2 != 0 ? .framePointer(offset) : .stackPointer(offset)
    let saved = Int16(truncatingIfNeeded: packed &>> 16)
    if packed & 4 != 0 { framePointer = .atOffset(Int32(saved)) }
  }

  /// Remembers the rule, if it is of the usual shape: everything at fixed offsets.
  func cache(for programCounter: UInt64) {
    guard let entry = UnwindRule.entry(programCounter), !isSignalFrame, case .atOffset(-8) = returnAddress else { return }
    var packed: UInt64 = 1
    switch frameAddress {
    case .stackPointer(let offset): packed |= UInt64(UInt32(bitPattern: offset)) &<< 32
    case .framePointer(let offset): packed |= UInt64(UInt32(bitPattern: offset)) &<< 32 | 2
    case .expression: return
    }
    switch framePointer {
    case .unchanged: break
    case .atOffset(let offset):
      guard let short = Int16(exactly: offset) else { return }
      packed |= UInt64(UInt16(bitPattern: short)) &<< 16 | 4
    default: return
    }
    entry[1] = packed
    entry[0] = programCounter ^ packed
  }

  /// Maps the cache; without it unwinding is slower.
  static func makeCache() { mallow_state.rule_cache = mapMemory(cacheEntries &* 16) }
}
