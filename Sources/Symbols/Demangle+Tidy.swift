// C++ names as programmers write them.
// SPDX-License-Identifier: Apache-2.0

/// `name` without the standard library's inline namespaces and default template arguments, and with `std::string` by
/// that name: `std::map<std::string, int>` for what is spelled out in 200 characters. Also without the marks of parts
/// and copies that the compiler makes of a function, ` [clone .cold]`.
func tidyCPlusPlus(_ name: String) -> String {
  var name = Substring(name)
  while name.hasSuffix("]"), let bracket = name.lastIndex(of: "["), name[bracket...].hasPrefix("[clone ."),
    name[..<bracket].hasSuffix(" ")
  {
    name = name[..<bracket].dropLast()
  }
  guard name.utf8.contains(UInt8(ascii: "<")) || name.contains("std::") else { return String(name) }
  var text = replacing(Array(name.utf8), "std::__cxx11::", with: "std::")
  text = replacing(text, "std::__1::", with: "std::")
  text = withoutDefaultArguments(text)
  return String(decoding: replacing(text, "std::basic_string<char>", with: "std::string"), as: UTF8.self)
}

/// What the standard library's templates have for their last arguments when nothing else is asked for.
private let defaultArguments = [
  "std::allocator<", "std::less<", "std::hash<", "std::equal_to<", "std::char_traits<", "std::default_delete<",
].map { Array($0.utf8) }

/// Drops default arguments from templates of `std`, and the space in `> >`.
private func withoutDefaultArguments(_ text: [UInt8]) -> [UInt8] {
  /// An open bracket: where in the result the name before it starts, and each argument but the first, at its comma.
  struct Open {
    var isTemplate: Bool
    var isStandard = false
    var nameStart: Int
    var commas: [Int] = []
  }
  var result: [UInt8] = []
  result.reserveCapacity(text.count)
  var open: [Open] = []
  var nameStart = 0
  var index = 0
  while index < text.count {
    let byte = text[index]
    if isOperatorSign(byte), result.hasSuffix("operator") {
      while index < text.count, isOperatorSign(text[index]) {
        result.append(text[index])
        index += 1
      }
      continue
    }
    switch byte {
    case UInt8(ascii: "<"):
      let isStandard = result.dropFirst(nameStart).starts(with: "std::".utf8)
      open.append(Open(isTemplate: true, isStandard: isStandard, nameStart: nameStart))
      nameStart = result.count + 1
    case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"):
      open.append(Open(isTemplate: false, nameStart: nameStart))
      nameStart = result.count + 1
    case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
      if let bracket = open.last, !bracket.isTemplate {
        nameStart = bracket.nameStart
        open.removeLast()
      }
    case UInt8(ascii: ","):
      if !open.isEmpty { open[open.count - 1].commas.append(result.count) }
      nameStart = result.count + 2
    case UInt8(ascii: " "):
      nameStart = result.count + 1
    case UInt8(ascii: ">"):
      guard let template = open.last, template.isTemplate else { break }
      nameStart = template.nameStart
      open.removeLast()
      if template.isStandard {
        for comma in template.commas.reversed() {
          let argument = result[comma...].dropFirst(2)
          guard defaultArguments.contains(where: { argument.starts(with: $0) }) else { break }
          result.removeSubrange(comma...)
        }
      }
      if result.last == UInt8(ascii: " ") { result.removeLast() }
    default: break
    }
    result.append(byte)
    index += 1
  }
  return result
}

private func isOperatorSign(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "-"), UInt8(ascii: "="): true
  default: false
  }
}

extension [UInt8] {
  fileprivate func hasSuffix(_ suffix: StaticString) -> Bool {
    count >= suffix.utf8CodeUnitCount
      && suffix.withUTF8Buffer { self[(count - $0.count)...].elementsEqual($0) }
  }
}

/// `text` with each `pattern` replaced. Stands in for Foundation's, which would make the program several times larger.
func replacing(_ text: [UInt8], _ pattern: String, with replacement: String) -> [UInt8] {
  let pattern = Array(pattern.utf8)
  var result: [UInt8] = []
  result.reserveCapacity(text.count)
  var index = 0
  while index < text.count {
    if text[index] == pattern[0], text[index...].starts(with: pattern) {
      result.append(contentsOf: replacement.utf8)
      index += pattern.count
    } else {
      result.append(text[index])
      index += 1
    }
  }
  return result
}
