// Finds libmallow.so.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The library that is preloaded into programs.
enum AllocatorLibrary {
  /// Its path: `MALLOW_LIBRARY`, or beside this program, or in `../lib` of this program's prefix.
  /// - Throws: ``Failure`` where it is in none of these places, or where LD_PRELOAD can't name it.
  static func path() throws -> String {
    let path = try find()
    if path.contains(where: { $0 == " " || $0 == ":" || $0.isNewline }) {
      throw Failure("\(path) has a space or a colon in its path, where LD_PRELOAD can't name it: move it or set MALLOW_LIBRARY.")
    }
    return path
  }

  private static func find() throws -> String {
    if let named = getenv("MALLOW_LIBRARY").map({ String(cString: $0) }), !named.isEmpty {
      guard let path = real(named) else { throw Failure("MALLOW_LIBRARY names \(named), which can't be read.") }
      return path
    }
    guard let program = real("/proc/self/exe"), let slash = program.lastIndex(of: "/") else {
      throw Failure("libmallow.so can't be found, since /proc is not mounted: set MALLOW_LIBRARY to its path.")
    }
    let folder = program[..<slash]
    for candidate in ["\(folder)/libmallow.so", "\(folder)/../lib/libmallow.so"] {
      if let path = real(candidate) { return path }
    }
    throw Failure("libmallow.so is neither in \(folder) nor in \(folder)/../lib: install it there, or set MALLOW_LIBRARY to its path.")
  }

  /// The absolute path of a readable file, symbolic links resolved.
  private static func real(_ path: String) -> String? {
    guard access(path, R_OK) == 0, let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
