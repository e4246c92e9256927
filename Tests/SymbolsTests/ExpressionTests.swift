// DWARF expressions come to the right address, register or value, or to nothing.
// SPDX-License-Identifier: Apache-2.0
import CElfutils
import Testing

@testable import Symbols

@Suite struct ExpressionTests {
  func result(_ operations: [(Int, UInt64)], _ context: ExpressionContext = ExpressionContext()) -> ExpressionResult? {
    let operations = operations.map { Dwarf_Op(atom: UInt8($0.0), number: $0.1, number2: 0, offset: 0) }
    return operations.withUnsafeBufferPointer { evaluate($0, in: context) }
  }

  @Test func placesOfVariables() {
    var context = ExpressionContext(registers: [nil, 7, nil, nil, nil, nil, 1000], bias: 0x5000)
    #expect(result([(DW_OP_addr, 0x40)], context) == .address(0x5040))
    #expect(result([(DW_OP_breg0 + 6, 0 &- 24)], context) == .address(976))
    #expect(result([(DW_OP_reg0 + 3, 0)], context) == .register(3))
    #expect(result([(DW_OP_fbreg, 0 &- 8)], context) == nil)
    context.frameBase = 2000
    context.canonicalFrame = 3000
    #expect(result([(DW_OP_fbreg, 0 &- 8)], context) == .address(1992))
    #expect(result([(DW_OP_call_frame_cfa, 0), (DW_OP_const1u, 16), (DW_OP_minus, 0)], context) == .address(2984))
    #expect(result([(DW_OP_breg0, 0)], context) == nil)
  }

  @Test func valuesAndMemory() {
    let context = ExpressionContext(registers: [0x1122_3344], load: { $0 == 64 ? 0xaabb_ccdd_eeff : nil })
    #expect(result([(DW_OP_lit0 + 31, 0), (DW_OP_stack_value, 0)]) == .value(31))
    #expect(result([(DW_OP_const1u, 64), (DW_OP_deref, 0)], context) == .address(0xaabb_ccdd_eeff))
    #expect(result([(DW_OP_const1u, 64), (DW_OP_deref_size, 2)], context) == .address(0xeeff))
    #expect(result([(DW_OP_const1u, 65), (DW_OP_deref, 0)], context) == nil)
  }

  /// The rule that GNU ld writes for the frames of a procedure linkage table.
  @Test(arguments: [(0x1005 as UInt64, 0x2008 as UInt64), (0x100b, 0x2010), (0x101f, 0x2010)])
  func theLinkageTablesRule(pc: UInt64, frame: UInt64) {
    var registers = [UInt64?](repeating: nil, count: 17)
    (registers[7], registers[16]) = (0x2000, pc)
    let rule: [(Int, UInt64)] = [
      (DW_OP_breg0 + 7, 8), (DW_OP_breg0 + 16, 0), (DW_OP_lit0 + 15, 0), (DW_OP_and, 0), (DW_OP_lit0 + 11, 0), (DW_OP_ge, 0),
      (DW_OP_lit0 + 3, 0), (DW_OP_shl, 0), (DW_OP_plus, 0),
    ]
    #expect(result(rule, ExpressionContext(registers: registers)) == .address(frame))
  }

  @Test func damageIsNoCrash() {
    #expect(result([]) == nil)
    #expect(result([(DW_OP_plus, 0)]) == nil)
    #expect(result([(DW_OP_swap, 0)]) == nil)
    #expect(result([(DW_OP_stack_value, 0)]) == nil)
    #expect(result([(DW_OP_regx, .max)]) == nil)
    #expect(result([(DW_OP_bregx, .max)]) == nil)
    #expect(result([(DW_OP_lit0 + 1, 0), (DW_OP_const8u, .max), (DW_OP_shl, 0)]) == .address(0))
    for code in 0...255 {
      _ = result([(DW_OP_lit0 + 1, 0), (DW_OP_const8u, .max), (code, .max), (code, 1)], ExpressionContext(registers: [1, 2]))
    }
    #expect(result([(Int, UInt64)](repeating: (DW_OP_lit0, 0), count: 1000)) == nil)
  }
}
