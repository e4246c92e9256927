// Text that is built byte by byte, for reports of many thousand lines.
// SPDX-License-Identifier: Apache-2.0

/// A growing text.
struct ByteText {
  private(set) var bytes: [UInt8] = []

  init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

  var string: String { String(decoding: bytes, as: UTF8.self) }

  mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
  mutating func append(_ character: Unicode.Scalar) { bytes.append(UInt8(ascii: character)) }
  mutating func appendByte(_ byte: UInt8) { bytes.append(byte) }
  mutating func blanks(_ count: Int) { for _ in 0..<max(0, count) { bytes.append(0x20) } }

  /// A number in the given radix, at least `width` columns wide, aligned right.
  mutating func append(_ number: UInt64, radix: UInt64 = 10, width: Int = 0) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64) { digits in
      var position = 64
      var rest = number
      repeat {
        position -= 1
        let digit = UInt8(truncatingIfNeeded: rest % radix)
        digits[position] = digit < 10 ? 0x30 + digit : 0x61 + digit - 10
        rest /= radix
      } while rest > 0
      blanks(width - (64 - position))
      bytes.append(contentsOf: digits[position...])
    }
  }

  /// Bytes in a binary unit in at most five columns, aligned right: `0`, `336`, `4K`, `1.5M`, `1023G`. Rounded to nearest.
  mutating func appendSize(_ size: UInt64, width: Int) {
    guard size >= 1024 else { return append(size, width: width) }
    var unit: UInt64 = 1024
    var name = 0
    // Where rounding would give 1024 the next unit is the one.
    while name < 5, size / unit >= 1024 || (size / unit == 1023 && size % unit * 2 >= unit) {
      unit <<= 10
      name += 1
    }
    let tenths = size / unit * 10 + (size % unit / (unit / 1024) * 10 + 512) / 1024
    let isFractional = tenths < 100 && size % unit != 0
    let whole = isFractional ? tenths / 10 : size / unit + (size % unit * 2 >= unit ? 1 : 0)
    let digits = whole < 10 ? 1 : whole < 100 ? 2 : whole < 1000 ? 3 : 4
    blanks(width - digits - (isFractional ? 3 : 1))
    append(whole)
    if isFractional {
      append(".")
      append(tenths % 10)
    }
    bytes.append([0x4b, 0x4d, 0x47, 0x54, 0x50, 0x45][name])
  }
}
