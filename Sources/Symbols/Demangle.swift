// Mangled names of Swift, C++ and Rust made readable.
// SPDX-License-Identifier: Apache-2.0

import CDemangle
import Glibc

/// The longest name that is demangled, and the longest text that comes of it, in bytes.
private let limit = 65_536

/// The Swift runtime's own demangler in the simplified style of its backtraces: no module names, no types of
/// arguments. It is exported by libswiftCore, shared and static, for the toolchain's `Runtime` module.
@_silgen_name("_swift_backtrace_demangle")
private func swiftBacktraceDemangle(
  _ name: UnsafePointer<CChar>, _ length: Int, _ buffer: UnsafeMutablePointer<CChar>?,
  _ size: UnsafeMutablePointer<Int>?
) -> UnsafeMutablePointer<CChar>?

/// The readable form of a symbol's name: `Session.init(id:)` for `$s4main7SessionC2idACSi_tcfc`, `ns::f(int)` for
/// `_ZN2ns1fEi`, `core::ptr::drop_in_place` for Rust's `_ZN4core3ptr13drop_in_place17h…E` and `_RNv…`. A name that
/// isn't mangled, or is longer than 64 KiB, comes back as it is.
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

/// Unlike the others this has no bound on what a name made for the purpose can print, 2^n characters for n nested
/// types; its own limit on depth keeps it from overflowing the stack.
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
