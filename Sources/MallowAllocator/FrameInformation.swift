// Reading .eh_frame: from an address by way of the sorted table of .eh_frame_hdr (Linux Standard Base 5.0, section 10.6) to its frame
// description, and by running its instructions to the rule for that address.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Reads the variable-length values of DWARF from this process's own memory.
struct ByteReader {
  var address: UInt64

  init(at address: UInt64) { self.address = address }

  mutating func byte() -> UInt8 { fixed(UInt8.self) }

  mutating func fixed<T: FixedWidthInteger>(_ type: T.Type) -> T {
    let value = UnsafeRawPointer(bitPattern: UInt(address)).unsafelyUnwrapped.loadUnaligned(as: T.self)
    address &+= UInt64(MemoryLayout<T>.size)
    return value
  }

  /// ULEB128.
  mutating func unsigned() -> UInt64 {
    var result: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let next = byte()
      if shift < 64 { result |= UInt64(next & 0x7f) &<< shift }
      shift &+= 7
      if next & 0x80 == 0 { return result }
    }
  }

  /// SLEB128.
  mutating func signed() -> Int64 {
    var result: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let next = byte()
      if shift < 64 { result |= UInt64(next & 0x7f) &<< shift }
      shift &+= 7
      if next & 0x80 == 0 {
        if shift < 64 && next & 0x40 != 0 { result |= ~0 &<< shift }
        return Int64(bitPattern: result)
      }
    }
  }

  /// A pointer in one of the encodings DW_EH_PE_*; nil where the encoding is not one that compilers use here.
  mutating func pointer(encoding: UInt8, dataBase: UInt64 = 0) -> UInt64? {
    let place = address
    var value: UInt64
    switch encoding & 0x0f {
    case 0x00, 0x04, 0x0c: value = fixed(UInt64.self)
    case 0x02: value = UInt64(fixed(UInt16.self))
    case 0x03: value = UInt64(fixed(UInt32.self))
    case 0x0a: value = UInt64(bitPattern: Int64(fixed(Int16.self)))
    case 0x0b: value = UInt64(bitPattern: Int64(fixed(Int32.self)))
    case 0x01: value = unsigned()
    case 0x09: value = UInt64(bitPattern: signed())
    default: return nil
    }
    switch encoding & 0x70 {
    case 0x00: break
    case 0x10: value &+= place
    case 0x30: value &+= dataBase
    default: return nil
    }
    return encoding & 0x80 != 0 ? word(at: value) : value
  }
}

/// The address of the frame description that covers an address, or nil.
private func frameDescription(of address: UInt64) -> UInt64? {
  let header = mallow_eh_frame_header(address)
  if header == 0 { return nil }
  var reader = ByteReader(at: header)
  guard reader.byte() == 1 else { return nil }
  let pointerEncoding = reader.byte()
  let countEncoding = reader.byte()
  let tableEncoding = reader.byte()
  guard reader.pointer(encoding: pointerEncoding, dataBase: header) != nil,
    let count = reader.pointer(encoding: countEncoding, dataBase: header), tableEncoding == 0x3b, count > 0
  else { return nil }
  let table = reader.address
  func entry(_ index: UInt64) -> (start: UInt64, description: UInt64) {
    var reader = ByteReader(at: table &+ index &* 8)
    let start = header &+ UInt64(bitPattern: Int64(reader.fixed(Int32.self)))
    return (start, header &+ UInt64(bitPattern: Int64(reader.fixed(Int32.self))))
  }
  var low: UInt64 = 0
  var high = count
  while high &- low > 1 {
    let middle = (low &+ high) / 2
    if entry(middle).start <= address { low = middle } else { high = middle }
  }
  let found = entry(low)
  return found.start <= address ? found.description : nil
}

extension UnwindRule {
  /// The rule for an instruction's address; nil where nothing describes it.
  init?(at programCounter: UInt64) {
    guard let description = frameDescription(of: programCounter) else { return nil }
    var reader = ByteReader(at: description)
    let length = reader.fixed(UInt32.self)
    guard length != 0, length != 0xffff_ffff else { return nil }
    let end = reader.address &+ UInt64(length)
    let commonPlace = reader.address
    let common = commonPlace &- UInt64(reader.fixed(UInt32.self))
    guard let information = CommonInformation(at: common), let start = reader.pointer(encoding: information.pointerEncoding),
      let size = reader.pointer(encoding: information.pointerEncoding & 0x0f), programCounter &- start < size
    else { return nil }
    if information.hasAugmentation { reader.address = reader.unsigned() &+ reader.address }
    isSignalFrame = information.isSignalFrame
    var program = FrameProgram(rule: self, information: information, target: programCounter, location: start)
    guard program.run(from: information.instructions, to: information.end) else { return nil }
    program.initial = program.rule
    guard program.run(from: reader.address, to: end) else { return nil }
    self = program.rule
  }
}

/// A common information entry: what frame descriptions share.
private struct CommonInformation {
  var codeFactor: UInt64 = 1
  var dataFactor: Int64 = -8
  var pointerEncoding: UInt8 = 0
  var hasAugmentation = false
  var isSignalFrame = false
  var instructions: UInt64 = 0
  var end: UInt64 = 0

  init?(at address: UInt64) {
    var reader = ByteReader(at: address)
    let length = reader.fixed(UInt32.self)
    guard length != 0, length != 0xffff_ffff else { return nil }
    end = reader.address &+ UInt64(length)
    _ = reader.fixed(UInt32.self)
    let version = reader.byte()
    guard version == 1 || version == 3 else { return nil }
    var augmentation = ByteReader(at: reader.address)
    while reader.byte() != 0 {}
    codeFactor = reader.unsigned()
    dataFactor = reader.signed()
    if version == 1 { _ = reader.byte() } else { _ = reader.unsigned() }
    var letter = augmentation.byte()
    if letter == 0x7a {  // z
      hasAugmentation = true
      let size = reader.unsigned()
      instructions = reader.address &+ size
      letter = augmentation.byte()
      while letter != 0 {
        switch letter {
        case 0x52: pointerEncoding = reader.byte()  // R
        case 0x50:  // P
          let encoding = reader.byte()
          guard reader.pointer(encoding: encoding & 0x7f) != nil else { return nil }
        case 0x4c: _ = reader.byte()  // L
        case 0x53: isSignalFrame = true  // S
        default: return nil
        }
        letter = augmentation.byte()
      }
    } else if letter != 0 {
      return nil
    } else {
      instructions = reader.address
    }
  }
}

/// Runs call frame instructions (DWARF 5, section 6.4.2) up to the row of the target address.
private struct FrameProgram {
  var rule: UnwindRule
  let information: CommonInformation
  let target: UInt64
  var location: UInt64
  var initial: UnwindRule
  private var remembered: (UnwindRule, UnwindRule, UnwindRule, UnwindRule)
  private var rememberedCount = 0

  init(rule: UnwindRule, information: CommonInformation, target: UInt64, location: UInt64) {
    self.rule = rule
    self.information = information
    self.target = target
    self.location = location
    initial = rule
    remembered = (rule, rule, rule, rule)
  }

  private mutating func set(_ register: UInt64, _ location: UnwindLocation) {
    switch register {
    case 6: rule.framePointer = location
    case 16: rule.returnAddress = location
    default: break
    }
  }

  private mutating func restore(_ register: UInt64) {
    switch register {
    case 6: rule.framePointer = initial.framePointer
    case 16: rule.returnAddress = initial.returnAddress
    default: break
    }
  }

  private mutating func setFrameAddress(register: UInt64, offset: Int64) -> Bool {
    switch register {
    case 7: rule.frameAddress = .stackPointer(Int32(truncatingIfNeeded: offset))
    case 6: rule.frameAddress = .framePointer(Int32(truncatingIfNeeded: offset))
    default: return false
    }
    return true
  }

  private var frameRegister: UInt64 {
    if case .framePointer = rule.frameAddress { return 6 }
    return 7
  }

  private var frameOffset: Int64 {
    switch rule.frameAddress {
    case .stackPointer(let offset), .framePointer(let offset): return Int64(offset)
    case .expression: return 0
    }
  }

  private mutating func advance(_ amount: UInt64) -> Bool {
    location &+= amount &* information.codeFactor
    return location > target
  }

  private mutating func push() -> Bool {
    switch rememberedCount {
    case 0: remembered.0 = rule
    case 1: remembered.1 = rule
    case 2: remembered.2 = rule
    case 3: remembered.3 = rule
    default: return false
    }
    rememberedCount &+= 1
    return true
  }

  private mutating func pop() -> Bool {
    let signal = rule.isSignalFrame
    switch rememberedCount {
    case 1: rule = remembered.0
    case 2: rule = remembered.1
    case 3: rule = remembered.2
    case 4: rule = remembered.3
    default: return false
    }
    rule.isSignalFrame = signal
    rememberedCount &-= 1
    return true
  }

  /// Executes the instructions between two addresses, or up to the row that covers the target.
  /// - Returns: false where one is not understood.
  mutating func run(from start: UInt64, to end: UInt64) -> Bool {
    var reader = ByteReader(at: start)
    while reader.address < end {
      let instruction = reader.byte()
      let operand = UInt64(instruction & 0x3f)
      switch instruction & 0xc0 {
      case 0x40:
        if advance(operand) { return true }
        continue
      case 0x80:
        set(operand, .atOffset(Int32(truncatingIfNeeded: Int64(bitPattern: reader.unsigned()) &* information.dataFactor)))
        continue
      case 0xc0:
        restore(operand)
        continue
      default: break
      }
      switch instruction {
      case 0x00: break  // nop
      case 0x01:  // set_loc
        guard let place = reader.pointer(encoding: information.pointerEncoding) else { return false }
        location = place
        if location > target { return true }
      case 0x02: if advance(UInt64(reader.byte())) { return true }
      case 0x03: if advance(UInt64(reader.fixed(UInt16.self))) { return true }
      case 0x04: if advance(UInt64(reader.fixed(UInt32.self))) { return true }
      case 0x05:  // offset_extended
        let register = reader.unsigned()
        set(register, .atOffset(Int32(truncatingIfNeeded: Int64(bitPattern: reader.unsigned()) &* information.dataFactor)))
      case 0x06: restore(reader.unsigned())
      case 0x07: set(reader.unsigned(), .undefined)
      case 0x08: set(reader.unsigned(), .unchanged)
      case 0x09:  // register
        _ = reader.unsigned()
        _ = reader.unsigned()
      case 0x0a: if !push() { return false }
      case 0x0b: if !pop() { return false }
      case 0x0c:  // def_cfa
        let register = reader.unsigned()
        if !setFrameAddress(register: register, offset: Int64(bitPattern: reader.unsigned())) { return false }
      case 0x0d: if !setFrameAddress(register: reader.unsigned(), offset: frameOffset) { return false }
      case 0x0e: if !setFrameAddress(register: frameRegister, offset: Int64(bitPattern: reader.unsigned())) { return false }
      case 0x0f:  // def_cfa_expression
        rule.frameAddress = .expression(reader.address)
        let length = reader.unsigned()
        reader.address &+= length
      case 0x10:  // expression
        let register = reader.unsigned()
        set(register, .atExpression(reader.address))
        let length = reader.unsigned()
        reader.address &+= length
      case 0x11:  // offset_extended_sf
        let register = reader.unsigned()
        set(register, .atOffset(Int32(truncatingIfNeeded: reader.signed() &* information.dataFactor)))
      case 0x12:  // def_cfa_sf
        let register = reader.unsigned()
        if !setFrameAddress(register: register, offset: reader.signed() &* information.dataFactor) { return false }
      case 0x13:
        if !setFrameAddress(register: frameRegister, offset: reader.signed() &* information.dataFactor) { return false }
      case 0x16:  // val_expression: a value, which no frame that we can pass needs
        let register = reader.unsigned()
        set(register, .undefined)
        let length = reader.unsigned()
        reader.address &+= length
      case 0x2e: _ = reader.unsigned()  // GNU_args_size
      default: return false
      }
    }
    return true
  }
}
