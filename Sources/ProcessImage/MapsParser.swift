// Reads the text of /proc/PID/maps (proc(5)): one mapping a line.
// SPDX-License-Identifier: Apache-2.0

/// Parses the text of `/proc/PID/maps`.
public enum MapsParser {
  /// The mappings of `text` in its order, which is that of their addresses. A line that is malformed is left out.
  public static func parse(_ text: [UInt8]) -> [Mapping] {
    var mappings: [Mapping] = []
    var line = text[...]
    while !line.isEmpty {
      let end = line.firstIndex(of: UInt8(ascii: "\n")) ?? line.endIndex
      if let mapping = mapping(line: line[..<end]) { mappings.append(mapping) }
      line = end == line.endIndex ? [] : line[(end + 1)...]
    }
    return mappings
  }

  /// Parses one line, for instance `7f00-8000 r-xp 00001000 fe:00 42   /usr/lib/libc.so.6`.
  static func mapping(line: ArraySlice<UInt8>) -> Mapping? {
    var rest = line
    guard let start = number(&rest, radix: 16), take(&rest, "-"), let end = number(&rest, radix: 16), start < end,
      take(&rest, " ")
    else { return nil }
    let permissions = word(&rest)
    guard permissions.count == 4, take(&rest, " "), let offset = number(&rest, radix: 16), take(&rest, " ") else { return nil }
    let device = word(&rest)
    guard !device.isEmpty, take(&rest, " "), let inode = number(&rest, radix: 10) else { return nil }
    while rest.first == UInt8(ascii: " ") { rest.removeFirst() }

    let p = Array(permissions)
    var name = unescaped(rest)
    let mark = Array(" (deleted)".utf8)
    let isDeleted = name.count > mark.count && name.suffix(mark.count).elementsEqual(mark)
    if isDeleted { name.removeLast(mark.count) }
    return Mapping(
      start: Address(start), end: Address(end), isReadable: p[0] == UInt8(ascii: "r"),
      isWritable: p[1] == UInt8(ascii: "w"), isExecutable: p[2] == UInt8(ascii: "x"), isShared: p[3] == UInt8(ascii: "s"),
      fileOffset: offset, device: String(decoding: device, as: UTF8.self), inode: inode,
      name: String(decoding: name, as: UTF8.self), isDeleted: isDeleted)
  }

  /// The kernel writes a newline in a name as `\012` and nothing else that way, so a backslash stays one.
  private static func unescaped(_ name: ArraySlice<UInt8>) -> [UInt8] {
    let escape = Array("\\012".utf8)
    var result: [UInt8] = []
    result.reserveCapacity(name.count)
    var rest = name
    while let byte = rest.first {
      if byte == escape[0], rest.starts(with: escape) {
        result.append(UInt8(ascii: "\n"))
        rest = rest.dropFirst(escape.count)
      } else {
        result.append(byte)
        rest = rest.dropFirst()
      }
    }
    return result
  }

  private static func number(_ text: inout ArraySlice<UInt8>, radix: UInt64) -> UInt64? {
    var value: UInt64 = 0
    var digits = 0
    while let byte = text.first, let digit = Character(UnicodeScalar(byte)).hexDigitValue, digit < radix {
      let (product, overflow) = value.multipliedReportingOverflow(by: radix)
      let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
      guard !overflow, !carry else { return nil }
      value = sum
      digits += 1
      text.removeFirst()
    }
    return digits == 0 ? nil : value
  }

  private static func word(_ text: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let end = text.firstIndex(of: UInt8(ascii: " ")) ?? text.endIndex
    defer { text = text[end...] }
    return text[..<end]
  }

  private static func take(_ text: inout ArraySlice<UInt8>, _ character: Unicode.Scalar) -> Bool {
    guard text.first == UInt8(ascii: character) else { return false }
    text.removeFirst()
    return true
  }
}
