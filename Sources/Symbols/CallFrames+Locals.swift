// The local variable or parameter at an address on a stack.
// SPDX-License-Identifier: Apache-2.0

import CElfutils
import ProcessImage

extension CallFrames {
  /// The local variable or parameter of a frame's function, or of one inlined into it, that contains an address: of those that are in
  /// memory where the frame is. Nil where debug information knows of none.
  public func local(at address: Address, in frame: CallFrame) -> Variable? {
    let pc = frame.isReturnAddress ? frame.programCounter - 1 : frame.programCounter
    guard let module = symbolizer.module(containing: pc), let link = module.linkAddress(pc),
      let debug = module.file?.debugInformation,
      let bias = module.bias, let function = debug.unit(containing: link)?.function(containing: link)
    else { return nil }
    var context = ExpressionContext(
      registers: frame.registers, canonicalFrame: frame.isExact ? frame.stack.upperBound.rawValue : nil, bias: bias,
      load: { [image] in image.load(Address($0), as: UInt64.self) })
    context.frameBase = debug.frameBase(of: function, at: link, context)
    guard var found = debug.local(at: address.rawValue, in: function, pc: link, context) else { return nil }
    found.module = module.path
    return found
  }
}

extension DebugInformation {
  fileprivate func frameBase(of function: Dwarf_Die, at pc: UInt64, _ context: ExpressionContext) -> UInt64? {
    var function = function
    switch location(DW_AT_frame_base, of: &function, at: pc, context) {
    case .address(let address): return address
    case .register(let number): return context.registers.indices.contains(number) ? context.registers[number] : nil
    case .value(let value): return value
    case nil: return nil
    }
  }

  /// The innermost variable wins: blocks and inlined calls come after what they lie in.
  fileprivate func local(at address: UInt64, in scope: Dwarf_Die, pc: UInt64, _ context: ExpressionContext, depth: Int = 0)
    -> Variable?
  {
    guard depth < 64 else { return nil }
    var found: Variable?
    forEachChild(of: scope) { entry in
      switch tag(&entry) {
      case DW_TAG_variable, DW_TAG_formal_parameter:
        guard found == nil, dwarf_hasattr_integrate(&entry, UInt32(DW_AT_artificial)) == 0 || dwarf_diename(&entry) != nil,
          case .address(let start)? = location(DW_AT_location, of: &entry, at: pc, context), start <= address,
          var type = type(of: &entry)
        else { return }
        if address - start < size(ofType: &type) ?? 8 { found = describe(entry, function: nil, offset: address - start) }
      case DW_TAG_lexical_block, DW_TAG_inlined_subroutine, DW_TAG_try_block, DW_TAG_catch_block:
        guard dwarf_haspc(&entry, pc) == 1 else { return }
        if let inner = local(at: address, in: entry, pc: pc, context, depth: depth + 1) {
          found = inner
          if tag(&entry) == DW_TAG_inlined_subroutine, inner.function == nil { found!.function = name(of: entry)?.readable }
        }
      default: break
      }
    }
    return found
  }

  private func location(_ attribute: Int, of entry: inout Dwarf_Die, at pc: UInt64, _ context: ExpressionContext)
    -> ExpressionResult?
  {
    var value = Dwarf_Attribute()
    guard dwarf_attr(&entry, UInt32(attribute), &value) != nil else { return nil }
    return withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<Dwarf_Op>?.self, capacity: 1) { expression in
      withUnsafeTemporaryAllocation(of: Int.self, capacity: 1) { count in
        guard dwarf_getlocation_addr(&value, pc, expression.baseAddress, count.baseAddress, 1) == 1, let first = expression[0]
        else { return nil }
        return evaluate(UnsafeBufferPointer(start: first, count: count[0]), in: context)
      }
    }
  }
}
