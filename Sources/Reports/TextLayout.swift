// Columns, wrapping, and names that are too long.
// SPDX-License-Identifier: Apache-2.0

extension String {
  /// The text with blanks behind it, up to `width` columns.
  func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

  /// The text with blanks before it, up to `width` columns.
  func aligned(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }

  /// The text, its middle left out where it is longer than `width`: beginnings and ends tell names apart.
  func shortened(_ width: Int) -> String {
    guard count > width else { return self }
    guard width > 1 else { return width == 1 ? "…" : "" }
    let tail = (width - 1) / 2
    return prefix(width - 1 - tail) + "…" + suffix(tail)
  }

  /// The text broken between words into lines of `width` columns.
  func wrapped(_ width: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in split(separator: " ") {
      if !line.isEmpty && line.count + 1 + word.count > width {
        lines.append(line)
        line = ""
      }
      line += line.isEmpty ? String(word) : " " + word
    }
    return line.isEmpty ? lines : lines + [line]
  }

  /// Control characters, which a target's file names or symbols may hold, made visible.
  var printable: String {
    guard unicodeScalars.contains(where: { $0.value < 32 || (127..<160).contains($0.value) }) else { return self }
    return String(String.UnicodeScalarView(unicodeScalars.map { $0.value < 32 || (127..<160).contains($0.value) ? "?" : $0 }))
  }
}
