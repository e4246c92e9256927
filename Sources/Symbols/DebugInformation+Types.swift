// Types in DWARF: their names, their sizes, and the field that lies at an offset.
// SPDX-License-Identifier: Apache-2.0

import CElfutils

/// The type that an entry's DW_AT_type names.
func type(of entry: inout Dwarf_Die) -> Dwarf_Die? {
  var value = Dwarf_Attribute()
  var type = Dwarf_Die()
  guard dwarf_attr_integrate(&entry, UInt32(DW_AT_type), &value) != nil, dwarf_formref_die(&value, &type) != nil else {
    return nil
  }
  return type
}

/// The bytes that a variable of a type takes.
func size(ofType type: inout Dwarf_Die) -> UInt64? {
  var size: Dwarf_Word = 0
  return dwarf_aggregate_size(&type, &size) == 0 ? size : nil
}

extension DebugInformation {
  /// A type as a programmer writes it: `char *`, `struct session`, `int[4]`, `Dictionary<String, Int>`. Nil for `void`.
  func typeName(_ type: Dwarf_Die, depth: Int = 0) -> String? {
    var entry = type
    guard depth < 32 else { return "…" }
    func target() -> String { Symbols.type(of: &entry).flatMap { typeName($0, depth: depth + 1) } ?? "void" }
    switch tag(&entry) {
    case DW_TAG_pointer_type: return pointer(to: target(), "*")
    case DW_TAG_reference_type: return pointer(to: target(), "&")
    case DW_TAG_rvalue_reference_type: return pointer(to: target(), "&&")
    case DW_TAG_const_type: return qualified(target(), "const")
    case DW_TAG_volatile_type: return qualified(target(), "volatile")
    case DW_TAG_restrict_type: return target()
    case DW_TAG_atomic_type: return "_Atomic \(target())"
    case DW_TAG_array_type: return target() + dimensions(&entry).map { "[\($0.map(String.init) ?? "")]" }.joined()
    case DW_TAG_subroutine_type: return "\(target())(\(parameters(&entry, depth: depth)))"
    default:
      guard let name = name(of: entry) else { return wrapped(entry, depth: depth) ?? unnamed(tag(&entry)) }
      if isSwiftMangled(name.raw) { return demangle(name.raw) }
      return isC(entry) ? keyword(tag(&entry)) + name.readable : tidyCPlusPlus(name.readable)
    }
  }

  private func pointer(to target: String, _ sign: String) -> String {
    // A function's return type stands before the star, its parameters behind.
    if target.hasSuffix(")"), let open = target.firstIndex(of: "(") {
      return "\(target[..<open]) (\(sign))\(target[open...])"
    }
    return target.hasSuffix("*") ? target + sign : "\(target) \(sign)"
  }

  private func qualified(_ target: String, _ qualifier: String) -> String {
    // Of a constant array the elements are constant already.
    if target.hasSuffix("]"), target.contains(qualifier) { return target }
    return target.hasSuffix("*") ? "\(target) \(qualifier)" : "\(qualifier) \(target)"
  }

  private func parameters(_ entry: inout Dwarf_Die, depth: Int) -> String {
    var names: [String] = []
    forEachChild(of: entry) { child in
      guard tag(&child) == DW_TAG_formal_parameter else { return }
      names.append(Symbols.type(of: &child).flatMap { typeName($0, depth: depth + 1) } ?? "void")
    }
    return names.joined(separator: ", ")
  }

  private func keyword(_ tag: Int) -> String {
    switch tag {
    case DW_TAG_structure_type: "struct "
    case DW_TAG_union_type: "union "
    case DW_TAG_enumeration_type: "enum "
    default: ""
    }
  }

  /// Swift puts a generic type, which it only declares, into a structure without a name that has its size.
  private func wrapped(_ entry: Dwarf_Die, depth: Int) -> String? {
    var result: String?
    var count = 0
    forEachChild(of: entry) { child in
      count += 1
      guard tag(&child) == DW_TAG_member, dwarf_diename(&child) == nil, let type = Symbols.type(of: &child) else { return }
      result = typeName(type, depth: depth + 1)
    }
    return count == 1 ? result : nil
  }

  private func unnamed(_ tag: Int) -> String? {
    let keyword = keyword(tag)
    return keyword.isEmpty ? nil : keyword + "{…}"
  }

  private func isC(_ entry: Dwarf_Die) -> Bool {
    var entry = entry
    var unit = Dwarf_Die()
    guard dwarf_diecu(&entry, &unit, nil, nil) != nil else { return false }
    return [DW_LANG_C89, DW_LANG_C, DW_LANG_C99, DW_LANG_C11].contains(Int(dwarf_srclang(&unit)))
  }

  /// The path from a variable to what lies `offset` bytes in it, as `.clients[3].name`, and that part's type. The path is empty
  /// where the variable has no parts, or where padding lies there.
  func field(at offset: UInt64, in type: Dwarf_Die) -> (path: String, type: Dwarf_Die) {
    var path = ""
    var current = type
    var offset = offset
    for _ in 0..<32 {
      let bare = withoutNames(current)
      guard let part = part(at: offset, in: bare) else { break }
      path += part.step
      current = part.type
      offset = part.offset
    }
    return (path, current)
  }

  private func withoutNames(_ type: Dwarf_Die) -> Dwarf_Die {
    var type = type
    for _ in 0..<32 {
      switch tag(&type) {
      case DW_TAG_typedef, DW_TAG_const_type, DW_TAG_volatile_type, DW_TAG_atomic_type:
        guard let next = Symbols.type(of: &type) else { return type }
        type = next
      default: return type
      }
    }
    return type
  }

  private func part(at offset: UInt64, in type: Dwarf_Die) -> (step: String, type: Dwarf_Die, offset: UInt64)? {
    var type = type
    switch tag(&type) {
    case DW_TAG_array_type:
      guard var element = Symbols.type(of: &type), let size = size(ofType: &element), size > 0 else { return nil }
      // Of an array of several dimensions one step leads to the innermost element.
      var index = offset / size
      var steps: [UInt64] = []
      for dimension in dimensions(&type).reversed() {
        guard let count = dimension, count > 0 else { break }
        steps.append(index % count)
        index /= count
      }
      if steps.isEmpty { steps = [index] }
      return (steps.reversed().map { "[\($0)]" }.joined(), element, offset % size)
    case DW_TAG_structure_type, DW_TAG_class_type:
      var found: (step: String, type: Dwarf_Die, offset: UInt64)?
      forEachChild(of: type) { child in
        let kind = tag(&child)
        guard found == nil, kind == DW_TAG_member || kind == DW_TAG_inheritance, let start = memberOffset(&child),
          start <= offset,
          var member = Symbols.type(of: &child), let size = size(ofType: &member), offset - start < size,
          // An empty base class lies where the first member does.
          kind == DW_TAG_member || size > 1
        else { return }
        let name = dwarf_diename(&child).map { "." + String(cString: $0) } ?? ""
        found = (kind == DW_TAG_member ? name : "", member, offset - start)
      }
      return found
    default: return nil
    }
  }

  private func memberOffset(_ member: inout Dwarf_Die) -> UInt64? {
    // A static member has no offset, and is declared only.
    if dwarf_hasattr(&member, UInt32(DW_AT_external)) == 1 { return nil }
    return unsigned(DW_AT_data_member_location, of: &member)
  }

  /// The lengths of an array's dimensions, nil where one is not given.
  private func dimensions(_ array: inout Dwarf_Die) -> [UInt64?] {
    var lengths: [UInt64?] = []
    forEachChild(of: array) { child in
      guard tag(&child) == DW_TAG_subrange_type else { return }
      if let count = unsigned(DW_AT_count, of: &child) {
        lengths.append(count)
      } else {
        lengths.append(unsigned(DW_AT_upper_bound, of: &child).flatMap { $0 == .max ? nil : $0 + 1 })
      }
    }
    return lengths
  }
}

/// Visits the entries right beneath `parent`.
func forEachChild(of parent: Dwarf_Die, _ visit: (inout Dwarf_Die) -> Void) {
  forEachDescendant(of: parent, entering: { _ in false }, visit)
}
