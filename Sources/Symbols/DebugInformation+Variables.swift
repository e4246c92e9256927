// Variables that live as long as the program or a thread: globals, statics, thread-local ones.
// SPDX-License-Identifier: Apache-2.0

import CElfutils

extension DebugInformation {
  /// A variable's entry and where it lies.
  struct StaticVariable {
    /// The link-time address; for a thread-local variable the offset in its module's thread-local memory.
    var start: UInt64
    var size: UInt64
    var entry: Dwarf_Die
    /// The function that it is local to.
    var function: Dwarf_Die?
  }

  /// All of them, sorted by address.
  struct StaticVariables {
    var globals: [StaticVariable] = []
    var threadLocals: [StaticVariable] = []
  }

  func findVariables() -> StaticVariables {
    var found = StaticVariables()
    forEachUnit { collect(from: $0, in: nil, depth: 0, into: &found) }
    found.globals.sort { $0.start < $1.start }
    found.threadLocals.sort { $0.start < $1.start }
    return found
  }

  /// Visits the entries of all compilation units; with split DWARF those in the `.dwo` files.
  func forEachUnit(_ visit: (Dwarf_Die) -> Void) {
    var unit: OpaquePointer?
    var version: Dwarf_Half = 0
    var type: UInt8 = 0
    var entry = Dwarf_Die()
    var split = Dwarf_Die()
    while dwarf_get_units(dwarf, unit, &unit, &version, &type, &entry, &split) == 0 {
      switch Int(type) {
      case DW_UT_compile: visit(entry)
      case DW_UT_skeleton where split.addr != nil: visit(split)
      default: break
      }
    }
  }

  private func collect(from parent: Dwarf_Die, in function: Dwarf_Die?, depth: Int, into found: inout StaticVariables) {
    guard depth < 64 else { return }
    forEachChild(of: parent) { entry in
      switch tag(&entry) {
      case DW_TAG_variable: add(entry, in: function, to: &found)
      case DW_TAG_subprogram: collect(from: entry, in: entry, depth: depth + 1, into: &found)
      case DW_TAG_namespace, DW_TAG_module, DW_TAG_lexical_block, DW_TAG_class_type, DW_TAG_structure_type, DW_TAG_union_type,
        DW_TAG_enumeration_type, DW_TAG_inlined_subroutine, DW_TAG_try_block, DW_TAG_catch_block:
        collect(from: entry, in: function, depth: depth + 1, into: &found)
      default: break
      }
    }
  }

  private func add(_ entry: Dwarf_Die, in function: Dwarf_Die?, to found: inout StaticVariables) {
    var entry = entry
    var attribute = Dwarf_Attribute()
    var operations: UnsafeMutablePointer<Dwarf_Op>?
    var count = 0
    guard dwarf_attr(&entry, UInt32(DW_AT_location), &attribute) != nil, dwarf_getlocation(&attribute, &operations, &count) == 0,
      let operations, count == 1 || count == 2, found.globals.count + found.threadLocals.count < 10_000_000
    else { return }
    let isThreadLocal =
      count == 2 && [DW_OP_form_tls_address, DW_OP_GNU_push_tls_address].contains(Int(operations[1].atom))
    guard isThreadLocal || count == 1, let start = address(of: operations[0], &attribute) else { return }
    var type = Symbols.type(of: &entry)
    let size = type.flatMap { _ in Symbols.size(ofType: &type!) } ?? 1
    let variable = StaticVariable(start: start, size: size, entry: entry, function: function)
    if isThreadLocal { found.threadLocals.append(variable) } else { found.globals.append(variable) }
  }

  private func address(of operation: Dwarf_Op, _ attribute: inout Dwarf_Attribute) -> UInt64? {
    switch Int(operation.atom) {
    case DW_OP_addr, DW_OP_const4u, DW_OP_const8u, DW_OP_constu: return operation.number
    case DW_OP_addrx, DW_OP_GNU_addr_index, DW_OP_constx, DW_OP_GNU_const_index:
      var operation = operation
      var target = Dwarf_Attribute()
      var address: Dwarf_Addr = 0
      guard dwarf_getlocation_attr(&attribute, &operation, &target) == 0, dwarf_formaddr(&target, &address) == 0 else {
        return nil
      }
      return address
    default: return nil
    }
  }

  /// The variable that contains a link-time address.
  func variable(containing address: UInt64) -> StaticVariable? { Self.search(variables.globals, address) }

  /// The thread-local variable that contains an offset in its module's thread-local memory.
  func threadLocal(containing offset: UInt64) -> StaticVariable? { Self.search(variables.threadLocals, offset) }

  private static func search(_ variables: [StaticVariable], _ address: UInt64) -> StaticVariable? {
    var low = 0
    var high = variables.count
    while low < high {
      let middle = (low + high) / 2
      if variables[middle].start <= address { low = middle + 1 } else { high = middle }
    }
    // Copies of a variable of a template or header lie at one address; of variables that overlap the later start counts.
    return variables[max(0, low - 16)..<low].last { address - $0.start < $0.size }
  }

  /// What a variable's entry says, for an address `offset` bytes in it.
  func describe(_ entry: Dwarf_Die, function: Dwarf_Die?, offset: UInt64) -> Variable {
    var entry = entry
    let name = name(of: entry)
    var variable = Variable(
      name: name?.readable ?? "unnamed", rawName: name.map { $0.isLinkage ? $0.raw : "" } ?? "", offset: offset)
    variable.function = function.flatMap { self.name(of: $0)?.readable }
    if var type = type(of: &entry) {
      variable.type = typeName(type)
      variable.size = size(ofType: &type)
      let field = field(at: offset, in: type)
      if !field.path.isEmpty {
        variable.field = field.path
        variable.fieldType = typeName(field.type)
      }
    }
    // What is declared elsewhere, as a static member is, has its place there.
    var attribute = Dwarf_Attribute()
    var value: Dwarf_Word = 0
    if dwarf_attr_integrate(&entry, UInt32(DW_AT_decl_line), &attribute) != nil, dwarf_formudata(&attribute, &value) == 0,
      value > 0
    {
      variable.line = Int(exactly: value)
    }
    variable.file = dwarf_decl_file(&entry).map { String(cString: $0) }
    return variable
  }
}
