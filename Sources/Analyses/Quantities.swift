// Quantities as people read them.
// SPDX-License-Identifier: Apache-2.0

/// Bytes in binary units: `512 bytes`, `9.4 KiB`, `15.0 MiB`.
public func byteText(_ bytes: UInt64) -> String {
  if bytes < 1024 { return countText(bytes, "byte") }
  var unit: UInt64 = 1024
  var names = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][...]
  while true {
    // In tenths, rounded to nearest; split up so that nothing overflows.
    let tenths = bytes / unit * 10 + (bytes % unit / (unit / 1024) * 10 + 512) / 1024
    if tenths < 10240 || names.count == 1 { return "\(tenths / 10).\(tenths % 10) \(names.first!)" }
    names.removeFirst()
    unit *= 1024
  }
}

/// Bytes as a size that tells blocks apart: `4,096 bytes`.
func byteText(_ bytes: UInt64, exact: Bool) -> String { exact ? countText(bytes, "byte") : byteText(bytes) }

/// A number with its thousands set apart: `1,023`.
public func numberText(_ number: some BinaryInteger) -> String {
  let digits = String(number.magnitude)
  var result = number < 0 ? "-" : ""
  for (index, digit) in digits.enumerated() {
    if index > 0 && (digits.count - index) % 3 == 0 { result.append(",") }
    result.append(digit)
  }
  return result
}

/// A number of things: `1 block`, `1,023 blocks`.
public func countText(_ number: some BinaryInteger, _ singular: String, _ plural: String? = nil) -> String {
  "\(numberText(number)) \(number == 1 ? singular : plural ?? singular + "s")"
}

/// Seconds: `0.42 s`, `12.3 s`, `3 min 04 s`, `2 h 07 min`.
public func durationText(_ seconds: Double) -> String {
  guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "unknown time" }
  func rounded(_ digits: Int) -> String {
    let scale = digits == 2 ? 100 : 10
    let units = Int((seconds * Double(scale)).rounded())
    let fraction = String(units % scale)
    return "\(units / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction) s"
  }
  if seconds < 9.995 { return rounded(2) }
  if seconds < 59.95 { return rounded(1) }
  let whole = Int(seconds.rounded())
  func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
  if whole < 3600 { return "\(whole / 60) min \(two(whole % 60)) s" }
  return "\(whole / 3600) h \(two(whole % 3600 / 60)) min"
}

/// A share: `61%`, and `<1%` or `>99%` where rounding would hide something.
public func shareText(_ part: UInt64, of whole: UInt64) -> String {
  guard whole > 0 else { return "0%" }
  let percent = (Double(part) / Double(whole) * 100).rounded()
  if part > 0 && percent < 1 { return "<1%" }
  return part < whole && percent >= 100 ? ">99%" : "\(Int(min(percent, 100)))%"
}
