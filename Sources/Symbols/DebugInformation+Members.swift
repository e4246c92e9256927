// The data members of C++ classes and structures, by DWARF.
// SPDX-License-Identifier: Apache-2.0

import CElfutils

extension DebugInformation {
  /// The data members of a class and its base classes, by offset in an object.
  /// - Parameter name: the class with its namespaces, as ``demangle(_:)`` writes it.
  func members(ofClass name: String) -> [Field] {
    guard var entry = classes[name] else { return [] }
    var result: [Field] = []
    var budget = 16384
    addMembers(of: &entry, at: 0, depth: 0, &budget, to: &result)
    return result
  }

  /// The definitions of classes by name.
  func findClasses() -> [String: Dwarf_Die] {
    var classes: [String: Dwarf_Die] = [:]
    var visited = 0
    forEachUnit { entry in
      var unit = entry
      guard ![DW_LANG_C89, DW_LANG_C, DW_LANG_C99, DW_LANG_C11, DW_LANG_Swift].contains(Int(dwarf_srclang(&unit))) else { return }
      addClasses(in: unit, scope: "", depth: 0, visited: &visited, to: &classes)
    }
    return classes
  }

  private func addClasses(
    in parent: Dwarf_Die, scope: String, depth: Int, visited: inout Int, to classes: inout [String: Dwarf_Die]
  ) {
    var parent = parent
    var child = Dwarf_Die()
    guard depth < 16, dwarf_child(&parent, &child) == 0 else { return }
    repeat {
      visited += 1
      if visited > Self.visitLimit { return }
      switch tag(&child) {
      case DW_TAG_namespace:
        let name = dwarf_diename(&child).map { String(cString: $0) } ?? "(anonymous namespace)"
        addClasses(in: child, scope: scope + name + "::", depth: depth + 1, visited: &visited, to: &classes)
      case DW_TAG_class_type, DW_TAG_structure_type:
        guard dwarf_hasattr(&child, UInt32(DW_AT_declaration)) == 0, let text = dwarf_diename(&child) else { continue }
        let name = scope + String(cString: text)
        let tidy = tidyCPlusPlus(Self.withDemangledIntegers(name))
        if classes[tidy] == nil { classes[tidy] = child }
        addClasses(in: child, scope: name + "::", depth: depth + 1, visited: &visited, to: &classes)
      default: break
      }
    } while moveToSibling(&child)
  }

  /// GCC spells the arguments of templates out, `long unsigned int`, where demangled names have `unsigned long`.
  private static func withDemangledIntegers(_ name: String) -> String {
    guard name.contains("<"), name.contains(" int") else { return name }
    var text = Array(name.utf8)
    for (spelling, demangled) in integers { text = replacing(text, spelling, with: demangled) }
    return String(decoding: text, as: UTF8.self)
  }

  private static let integers = [
    ("long long unsigned int", "unsigned long long"), ("long unsigned int", "unsigned long"), ("short unsigned int", "unsigned short"),
    ("long long int", "long long"), ("long int", "long"), ("short int", "short"),
  ]

  /// Entries beyond this are not looked at: a large program has some 10 million.
  private static let visitLimit = 5_000_000

  /// - Parameter budget: how many more entries to look at: damaged debug information may have classes derive from themselves.
  private func addMembers(of entry: inout Dwarf_Die, at base: UInt64, depth: Int, _ budget: inout Int, to result: inout [Field]) {
    var child = Dwarf_Die()
    guard depth < 16, dwarf_child(&entry, &child) == 0 else { return }
    repeat {
      let isBase = tag(&child) == DW_TAG_inheritance
      budget -= 1
      guard budget > 0 else { return }
      guard isBase || tag(&child) == DW_TAG_member else { continue }
      // Static members have no place in an object; virtual bases have one that only the object tells.
      let unionPlace: UInt64? = tag(&entry) == DW_TAG_union_type ? 0 : nil
      guard let offset = unsigned(DW_AT_data_member_location, of: &child) ?? unionPlace, var type = memberType(of: &child) else { continue }
      let place = base &+ offset
      if isBase || dwarf_diename(&child) == nil {
        addMembers(of: &type, at: place, depth: depth + 1, &budget, to: &result)
      } else if let name = dwarf_diename(&child), dwarf_hasattr(&child, UInt32(DW_AT_artificial)) == 0 {
        result.append(Field(name: String(cString: name), offset: place, size: size(ofType: &type)))
      }
    } while moveToSibling(&child)
  }

  /// A member's type without typedefs and qualifiers.
  private func memberType(of entry: inout Dwarf_Die) -> Dwarf_Die? {
    guard var type = type(of: &entry) else { return nil }
    var peeled = Dwarf_Die()
    return dwarf_peel_type(&type, &peeled) == 0 ? peeled : nil
  }
}
