// Names of functions in DWARF.
// SPDX-License-Identifier: Apache-2.0

import CElfutils
import Glibc

/// A function's name, as the tables have it and as it is shown.
struct FunctionName {
  var raw: String
  var readable: String
  /// Whether it is a name for the linker, which tells overloads, classes and namespaces apart.
  var isLinkage: Bool
}

extension DebugInformation {
  /// The name of a function or an inlined call: the linkage name, else the plain one within its namespaces and classes.
  func name(of entry: Dwarf_Die) -> FunctionName? {
    guard let key = entry.addr else { return nil }
    if let known = names[key] { return known }
    guard let name = findName(entry) else { return nil }
    names[key] = name
    return name
  }

  private func findName(_ entry: Dwarf_Die) -> FunctionName? {
    // `dwarf_attr_integrate` follows DW_AT_abstract_origin and DW_AT_specification, a bounded number of times.
    var entry = entry
    for attribute in [DW_AT_linkage_name, DW_AT_MIPS_linkage_name] {
      if let raw = string(attribute, of: &entry) {
        return FunctionName(raw: raw, readable: demangle(raw), isLinkage: true)
      }
    }
    guard let raw = string(DW_AT_name, of: &entry) else { return nil }
    return FunctionName(raw: raw, readable: qualified(raw, entry), isLinkage: false)
  }

  private func string(_ attribute: Int, of entry: inout Dwarf_Die) -> String? {
    var value = Dwarf_Attribute()
    guard dwarf_attr_integrate(&entry, UInt32(attribute), &value) != nil, let text = dwarf_formstring(&value),
      text[0] != 0
    else { return nil }
    return String(cString: text)
  }

  /// `name` with the namespaces and classes that its declaration stands in.
  private func qualified(_ name: String, _ entry: Dwarf_Die) -> String {
    var declaration = entry
    for attribute in [DW_AT_abstract_origin, DW_AT_specification] {
      var value = Dwarf_Attribute()
      var target = Dwarf_Die()
      if dwarf_attr(&declaration, UInt32(attribute), &value) != nil, dwarf_formref_die(&value, &target) != nil {
        declaration = target
      }
    }
    var unit = Dwarf_Die()
    var scopes: UnsafeMutablePointer<Dwarf_Die>?
    guard dwarf_diecu(&declaration, &unit, nil, nil) != nil,
      ![DW_LANG_C89, DW_LANG_C, DW_LANG_C99, DW_LANG_C11].contains(Int(dwarf_srclang(&unit)))
    else { return name }
    let count = dwarf_getscopes_die(&declaration, &scopes)
    guard count > 1, let scopes else { return name }
    defer { free(scopes) }
    var result = name
    for index in 1..<Int(count) {
      let scope = dwarf_diename(&scopes[index]).map { String(cString: $0) }
      switch tag(&scopes[index]) {
      case DW_TAG_namespace: result = (scope ?? "(anonymous namespace)") + "::" + result
      case DW_TAG_class_type, DW_TAG_structure_type, DW_TAG_union_type: result = (scope ?? "{unnamed}") + "::" + result
      default: break
      }
    }
    return result
  }
}
