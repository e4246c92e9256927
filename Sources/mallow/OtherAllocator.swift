// Allocators whose heaps can't be read: which one a target runs on.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage
import Symbols

enum OtherAllocator {
  /// The path of a module with a `malloc` of its own.
  /// - Parameter known: an address in a module that is left out: glibc, or a program that it is linked into.
  static func module(in mirror: MemoryMirror, _ symbolizer: Symbolizer, besides known: Address?) -> String? {
    let own = known.flatMap { mirror.mapping(containing: $0)?.name }
    var seen: Set<String> = []
    for mapping in mirror.mappings where mapping.isExecutable && mapping.name.hasPrefix("/") {
      let name = mapping.name
      if name == own || !seen.insert(name).inserted || isGlibc(name) { continue }
      if symbolizer.address(ofSymbol: "malloc", inModule: name) != nil { return name }
    }
    return nil
  }

  /// glibc's library, and its dynamic loader, which has a small allocator for its own start.
  private static func isGlibc(_ path: String) -> Bool {
    let file = path.split(separator: "/").last ?? ""
    return file.hasPrefix("libc.so") || file.hasPrefix("libc-2.") || file.hasPrefix("ld-")
  }

  /// The file name of an allocator's library that is loaded.
  static func knownLibrary(in mirror: MemoryMirror) -> String? {
    let names = ["libjemalloc.", "libtcmalloc", "libmimalloc.", "libsnmalloc", "librpmalloc", "libtbbmalloc"]
    let files = mirror.mappings.lazy.compactMap { $0.name.split(separator: "/").last.map(String.init) }
    return files.first { file in names.contains { file.hasPrefix($0) } }
  }
}
