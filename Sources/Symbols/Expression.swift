// A small machine for DWARF expressions: where a variable lies, where a caller's registers were saved.
// SPDX-License-Identifier: Apache-2.0

import CElfutils

/// What a DWARF expression comes to (DWARF 5, 2.5 and 2.6).
enum ExpressionResult: Equatable {
  /// The object lies in memory.
  case address(UInt64)
  /// The object is in a register, by DWARF's number.
  case register(Int)
  /// The object has no place, only a value.
  case value(UInt64)
}

/// What an expression may ask for. Each part is nil where it is not known, and then the expression has no result.
struct ExpressionContext {
  /// By DWARF's numbers for x86-64 (psABI, figure 3.36); 16 is the return address.
  var registers: [UInt64?] = []
  /// The canonical frame address.
  var canonicalFrame: UInt64?
  /// What `DW_OP_fbreg` counts from.
  var frameBase: UInt64?
  /// What is added to link-time addresses.
  var bias: UInt64 = 0
  var load: (UInt64) -> UInt64? = { _ in nil }
}

/// Evaluates an expression. Nil where it asks for what is not known, is made of pieces, or is damaged. Branches are not followed:
/// nothing loops.
func evaluate(_ operations: UnsafeBufferPointer<Dwarf_Op>, in context: ExpressionContext) -> ExpressionResult? {
  var stack: [UInt64] = []
  func register(_ number: Int) -> UInt64? { context.registers.indices.contains(number) ? context.registers[number] : nil }
  for (index, operation) in operations.enumerated() {
    let code = Int(operation.atom)
    let operand = operation.number
    switch code {
    case DW_OP_addr: stack.append(operand &+ context.bias)
    case DW_OP_const1u, DW_OP_const2u, DW_OP_const4u, DW_OP_const8u, DW_OP_constu, DW_OP_const1s, DW_OP_const2s, DW_OP_const4s,
      DW_OP_const8s, DW_OP_consts:
      stack.append(operand)
    case DW_OP_lit0...DW_OP_lit31: stack.append(UInt64(code - DW_OP_lit0))
    case DW_OP_reg0...DW_OP_reg31: return operations.count == 1 ? .register(code - DW_OP_reg0) : nil
    case DW_OP_regx: return operations.count == 1 ? Int(exactly: operand).map { .register($0) } : nil
    case DW_OP_breg0...DW_OP_breg31:
      guard let base = register(code - DW_OP_breg0) else { return nil }
      stack.append(base &+ operand)
    case DW_OP_bregx:
      guard let number = Int(exactly: operand), let base = register(number) else { return nil }
      stack.append(base &+ operation.number2)
    case DW_OP_fbreg:
      guard let base = context.frameBase else { return nil }
      stack.append(base &+ operand)
    case DW_OP_call_frame_cfa:
      guard let base = context.canonicalFrame else { return nil }
      stack.append(base)
    case DW_OP_nop: break
    case DW_OP_stack_value:
      guard index == operations.count - 1, let value = stack.last else { return nil }
      return .value(value)
    case DW_OP_deref, DW_OP_deref_size:
      guard let address = stack.popLast(), let value = context.load(address) else { return nil }
      let bits = code == DW_OP_deref ? 64 : min(operand, 8) * 8
      stack.append(bits >= 64 ? value : value & (1 << bits - 1))
    case DW_OP_dup:
      guard let top = stack.last else { return nil }
      stack.append(top)
    case DW_OP_drop: guard stack.popLast() != nil else { return nil }
    case DW_OP_swap:
      guard stack.count >= 2 else { return nil }
      stack.swapAt(stack.count - 1, stack.count - 2)
    case DW_OP_over:
      guard stack.count >= 2 else { return nil }
      stack.append(stack[stack.count - 2])
    case DW_OP_plus_uconst:
      guard let top = stack.popLast() else { return nil }
      stack.append(top &+ operand)
    default:
      guard let second = stack.popLast(), let first = stack.popLast(), let result = binary(code, first, second) else {
        return nil
      }
      stack.append(result)
    }
    if stack.count > 256 { return nil }
  }
  return stack.last.map { .address($0) }
}

private func binary(_ code: Int, _ a: UInt64, _ b: UInt64) -> UInt64? {
  let (x, y) = (Int64(bitPattern: a), Int64(bitPattern: b))
  switch code {
  case DW_OP_plus: return a &+ b
  case DW_OP_minus: return a &- b
  case DW_OP_mul: return a &* b
  case DW_OP_and: return a & b
  case DW_OP_or: return a | b
  case DW_OP_xor: return a ^ b
  case DW_OP_shl: return b < 64 ? a << b : 0
  case DW_OP_shr: return b < 64 ? a >> b : 0
  case DW_OP_shra: return UInt64(bitPattern: x >> Int64(min(b, 63)))
  case DW_OP_eq: return x == y ? 1 : 0
  case DW_OP_ne: return x != y ? 1 : 0
  case DW_OP_ge: return x >= y ? 1 : 0
  case DW_OP_gt: return x > y ? 1 : 0
  case DW_OP_le: return x <= y ? 1 : 0
  case DW_OP_lt: return x < y ? 1 : 0
  default: return nil
  }
}
