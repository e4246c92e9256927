// C++ objects: their first word points into the vtable of their class (Itanium C++ ABI, "Virtual Table Layout").
// SPDX-License-Identifier: Apache-2.0

import ProcessImage

extension TypeNames {
  /// The class whose vtable has its address point at `address`: after the offset to the top, which is 0 for the whole
  /// object, and the address of the type_info.
  func cplusplusType(vtable address: Address) -> Finding? {
    guard let name = className(ofVtable: address) else { return nil }
    return .type(TypeName(name: unwrapSharedPointer(name), language: .cplusplus), minimumSize: 8)
  }

  func className(ofVtable address: Address) -> String? {
    guard let mapping = image.mapping(containing: address), !mapping.isExecutable,
      symbolizer.module(containing: address) != nil, image.load(address - 16, as: UInt64.self) == 0
    else { return nil }
    return className(bySymbol: address) ?? (mapping.isWritable ? nil : className(byTypeInformation: address))
  }

  private func className(bySymbol address: Address) -> String? {
    guard let symbol = symbolizer.symbol(containing: address), symbol.rawName.hasPrefix("_ZTV"), symbol.offset >= 16,
      symbol.name.hasPrefix("vtable for ")
    else { return nil }
    return String(symbol.name.dropFirst("vtable for ".count))
  }

  /// A type_info is a pointer to its own vtable and one to the mangled name.
  private func className(byTypeInformation address: Address) -> String? {
    guard let function = image.load(address, as: UInt64.self),
      image.mapping(containing: Address(function))?.isExecutable == true,
      let information = image.load(address - 8, as: UInt64.self), information & 7 == 0,
      symbolizer.module(containing: Address(information)) != nil,
      let kind = image.load(Address(information), as: UInt64.self),
      symbolizer.module(containing: Address(kind)) != nil,
      let pointer = image.load(Address(information) + 8, as: UInt64.self),
      let mapping = image.mapping(containing: Address(pointer)), !mapping.isWritable,
      symbolizer.module(containing: Address(pointer)) != nil, var mangled = image.string(Address(pointer))
    else { return nil }
    if mangled.first == "*" { mangled.removeFirst() }  // GCC marks names that are compared by address
    // A class's name starts with a length, or with what makes it nested, local or of `std`.
    guard let first = mangled.first, mangled.utf8.count < 4000, "123456789NSZ".contains(first) else { return nil }
    let name = demangle("_ZTS" + mangled)
    let prefix = "typeinfo name for "
    return name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : nil
  }
}

/// `T` for the block that `std::make_shared<T>` allocates, which has the counts and the object in it; for the
/// separate counts of other shared pointers a name that says so. Both libstdc++'s and libc++'s.
func unwrapSharedPointer(_ name: String) -> String {
  for template in ["std::_Sp_counted_ptr_inplace<", "std::__shared_ptr_emplace<"] where name.hasPrefix(template) {
    return firstArgument(name.dropFirst(template.count)) ?? name
  }
  for template in ["std::_Sp_counted_ptr<", "std::_Sp_counted_deleter<", "std::__shared_ptr_pointer<"]
  where name.hasPrefix(template) {
    guard var pointee = firstArgument(name.dropFirst(template.count)) else { return name }
    if pointee.hasSuffix("*") { pointee.removeLast() }
    return "std::shared_ptr<\(pointee)> counts"
  }
  return name
}

/// The first of a template's arguments, which `text` starts with.
private func firstArgument(_ text: Substring) -> String? {
  var depth = 0
  for index in text.indices {
    switch text[index] {
    case "<", "(", "[", "{": depth += 1
    case ",", ">":
      if depth == 0 { return text[..<index].isEmpty ? nil : String(text[..<index]) }
      if text[index] == ">" { depth -= 1 }
    case ")", "]", "}": depth -= 1
    default: break
    }
  }
  return nil
}
