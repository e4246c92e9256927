// Reads the text of /proc/PID/maps (proc(5)): one mapping a line.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Parses the text of `/proc/PID/maps`. There may be many tens of thousands of lines, so it works on bytes and makes each name once.
public enum MapsParser {
  /// The mappings of `text` in its order, which is that of their addresses. A line that is malformed is left out.
  public static func parse(_ text: [UInt8]) -> [Mapping] {
    var reader = MapsReader()
    var mappings: [Mapping] = []
    text.withUnsafeBufferPointer { _ = reader.parse($0, isEnd: true, &mappings) }
    return mappings
  }

  /// Parses one line, for instance `7f00-8000 r-xp 00001000 fe:00 42   /usr/lib/libc.so.6`.
  static func mapping(line: ArraySlice<UInt8>) -> Mapping? {
    var names = LastName()
    var devices = LastName()
    return line.withUnsafeBufferPointer { bytes in
      var line = Line(bytes: bytes)
      return line.mapping(&names, &devices)
    }
  }
}

/// Parses text that comes in pieces.
struct MapsReader {
  private var names = LastName()
  private var devices = LastName()

  /// Adds the mappings of the whole lines in `text`, at the text's end also those of a line without its newline.
  /// - Returns: the number of bytes that were used.
  mutating func parse(_ text: UnsafeBufferPointer<UInt8>, isEnd: Bool, _ mappings: inout [Mapping]) -> Int {
    guard let base = text.baseAddress else { return 0 }
    var start = 0
    while start < text.count {
      let newline = memchr(base + start, 0x0a, text.count - start).map { $0 - UnsafeMutableRawPointer(mutating: base) }
      guard let end = newline ?? (isEnd ? text.count : nil) else { return start }
      var line = Line(bytes: UnsafeBufferPointer(rebasing: text[start..<end]))
      if let mapping = line.mapping(&names, &devices) { mappings.append(mapping) }
      start = end + 1
    }
    return text.count
  }

  /// Reads a process's mappings. `body` is called after each piece of text with all mappings until then.
  /// - Returns: nil with `errno` where they can't be read.
  static func read(_ path: String, _ body: ([Mapping]) -> Void = { _ in }) -> [Mapping]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var reader = MapsReader()
    var mappings: [Mapping] = []
    // What is not used of it costs nothing; growing would touch all memory twice.
    mappings.reserveCapacity(1 << 16)
    // Longer than any line. The kernel gives a page of text at a time.
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32768) { buffer -> [Mapping]? in
      var filled = 0
      while filled < buffer.count {
        let count = Glibc.read(descriptor, buffer.baseAddress! + filled, buffer.count - filled)
        if count < 0 && errno == EINTR { continue }
        if count < 0 { return nil }
        filled += count
        let used = reader.parse(UnsafeBufferPointer(rebasing: buffer[..<filled]), isEnd: count == 0, &mappings)
        if count == 0 { break }
        filled -= min(used, filled)
        memmove(buffer.baseAddress!, buffer.baseAddress! + used, filled)
        body(mappings)
      }
      return mappings
    }
  }
}

/// The string made last: neighbouring lines often have the same name.
private struct LastName {
  private var bytes: [UInt8] = []
  private var string = ""

  mutating func string(_ wanted: UnsafeBufferPointer<UInt8>) -> String {
    if wanted.isEmpty { return "" }
    if wanted.count == bytes.count, memcmp(wanted.baseAddress!, bytes, bytes.count) == 0 { return string }
    bytes = Array(wanted)
    string = String(decoding: wanted, as: UTF8.self)
    return string
  }
}

/// A line while it is read.
private struct Line {
  let bytes: UnsafeBufferPointer<UInt8>
  var position = 0

  init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  mutating func mapping(_ names: inout LastName, _ devices: inout LastName) -> Mapping? {
    guard let start = hexadecimal(), take("-"), let end = hexadecimal(), start < end, take(" ") else { return nil }
    let permissions = word()
    guard permissions.count == 4, take(" "), let offset = hexadecimal(), take(" ") else { return nil }
    let device = word()
    guard !device.isEmpty, take(" "), let inode = decimal() else { return nil }
    while take(" ") {}

    var name = UnsafeBufferPointer(rebasing: bytes[position...])
    let mark: StaticString = " (deleted)"
    let isDeleted =
      name.count > mark.utf8CodeUnitCount
      && memcmp(name.baseAddress! + name.count - mark.utf8CodeUnitCount, mark.utf8Start, mark.utf8CodeUnitCount) == 0
    if isDeleted { name = UnsafeBufferPointer(rebasing: name.dropLast(mark.utf8CodeUnitCount)) }
    return Mapping(
      start: Address(start), end: Address(end),
      isReadable: permissions[0] == UInt8(ascii: "r"), isWritable: permissions[1] == UInt8(ascii: "w"),
      isExecutable: permissions[2] == UInt8(ascii: "x"), isShared: permissions[3] == UInt8(ascii: "s"),
      fileOffset: offset, device: devices.string(device), inode: inode,
      name: name.contains(UInt8(ascii: "\\")) ? unescaped(name) : names.string(name), isDeleted: isDeleted)
  }

  /// The kernel writes a newline in a name as `\012` and nothing else that way, so a backslash stays one.
  private func unescaped(_ name: UnsafeBufferPointer<UInt8>) -> String {
    let escape = Array("\\012".utf8)
    var result: [UInt8] = []
    var rest = name[...]
    while let byte = rest.first {
      let isEscape = byte == escape[0] && rest.starts(with: escape)
      result.append(isEscape ? UInt8(ascii: "\n") : byte)
      rest = rest.dropFirst(isEscape ? escape.count : 1)
    }
    return String(decoding: result, as: UTF8.self)
  }

  private mutating func hexadecimal() -> UInt64? {
    var value: UInt64 = 0
    let first = position
    while position < bytes.count, let digit = Self.digit(bytes[position]) {
      guard value >> 60 == 0 else { return nil }
      value = value << 4 | digit
      position += 1
    }
    return position == first ? nil : value
  }

  private static func digit(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
    default: nil
    }
  }

  private mutating func decimal() -> UInt64? {
    var value: UInt64 = 0
    let first = position
    while position < bytes.count, let digit = Self.digit(bytes[position]), digit < 10 {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(digit)
      guard !overflow, !carry else { return nil }
      value = sum
      position += 1
    }
    return position == first ? nil : value
  }

  private mutating func word() -> UnsafeBufferPointer<UInt8> {
    let first = position
    while position < bytes.count, bytes[position] != UInt8(ascii: " ") { position += 1 }
    return UnsafeBufferPointer(rebasing: bytes[first..<position])
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }
}
