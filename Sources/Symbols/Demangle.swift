// Mangled names of Swift, C++ and Rust made readable.
// SPDX-License-Identifier: Apache-2.0

import CDemangle
import Glibc

/// The longest name that is demangled, and the longest text that comes of it, in bytes.
private let limit = 65_536

/// The Swift runtime's own demangler in the simplified style of its backtraces: no module names, no types of arguments. It is
/// exported by libswiftCore, shared and static, for the toolchain's `Runtime` module.
@_silgen_name("_swift_backtrace_demangle")
private func swiftBacktraceDemangle(
  _ name: UnsafePointer<CChar>, _ length: Int, _ buffer: UnsafeMutablePointer<CChar>?, _ size: UnsafeMutablePointer<Int>?
) -> UnsafeMutablePointer<CChar>?

/// The readable form of a symbol's name: `Session.init(id:)` for `$s4main7SessionC2idACSi_tcfc`, `ns::f(int)` for `_ZN2ns1fEi`,
/// `core::ptr::drop_in_place` for Rust's `_ZN4core3ptr13drop_in_place17h…E` and `_RNv…`. A name that isn't mangled, or is
/// longer than 64 KiB, comes back as it is.
public func demangle(_ name: String) -> String {
  guard name.utf8.count <= limit, name.utf8.count > 2 else { return name }
  if isSwiftMangled(name) { return demangleSwift(name) ?? name }
  if name.hasPrefix("_Z") || name.hasPrefix("_R") || name.hasPrefix("__Z") || name.hasPrefix("_GLOBAL_") {
    return demangleItanium(name).map(tidyCPlusPlus) ?? name
  }
  return name
}

func isSwiftMangled(_ name: String) -> Bool {
  ["$s", "$S", "_$s", "_$S", "$e", "_$e", "_T0", "@__swiftmacro_"].contains { name.hasPrefix($0) }
}

private func demangleSwift(_ name: String) -> String? {
  var size = 0
  guard let text = swiftBacktraceDemangle(name, name.utf8.count, nil, &size) else { return nil }
  defer { free(text) }
  let result = String(cString: text)
  return result.isEmpty ? nil : result
}

private func demangleItanium(_ name: String) -> String? {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: limit) { buffer in
    let count = mallow_demangle(name, buffer.baseAddress!, buffer.count)
    return count == 0 ? nil : String(decoding: UnsafeRawBufferPointer(buffer).prefix(count), as: UTF8.self)
  }
}

/// Writes the standard library's types the way programmers do: without inline namespaces, and `std::string` by that name.
private func tidyCPlusPlus(_ name: String) -> String {
  guard name.contains("std::") else { return name }
  var text = replacing(name, "std::__cxx11::", with: "std::")
  text = replacing(text, "std::__1::", with: "std::")
  return replacing(
    text, "std::basic_string<char, std::char_traits<char>, std::allocator<char> >", with: "std::string")
}

/// `text` with each `pattern` replaced. Stands in for Foundation's, which would make the program several times larger.
private func replacing(_ text: String, _ pattern: String, with replacement: String) -> String {
  let bytes = Array(text.utf8)
  let pattern = Array(pattern.utf8)
  guard bytes.count >= pattern.count else { return text }
  var result: [UInt8] = []
  result.reserveCapacity(bytes.count)
  var index = 0
  while index < bytes.count {
    if bytes[index] == pattern[0], bytes[index...].starts(with: pattern) {
      result.append(contentsOf: replacement.utf8)
      index += pattern.count
    } else {
      result.append(bytes[index])
      index += 1
    }
  }
  return String(decoding: result, as: UTF8.self)
}
