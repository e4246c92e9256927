// The executables and libraries that a target has loaded, by their program headers.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// An ELF file as it is loaded: its segments at their addresses.
public struct LoadedModule: Sendable {
  /// The file's path, or `[vdso]`.
  public let path: String
  /// What is added to a link-time address, modulo 2^64.
  public let bias: UInt64
  /// The loadable segments, with link-time addresses.
  public let segments: [ELFSegments.Segment]
  /// What the loader made read-only after relocation (`PT_GNU_RELRO`), with link-time addresses.
  public let relocatedReadOnly: Range<UInt64>?

  /// The whole pages from the first to the last segment.
  public var range: Range<Address> {
    let low = segments.map(\.address).min() ?? 0
    let high = segments.map { $0.address &+ $0.memorySize }.max() ?? 0
    let first = (bias &+ low) & ~4095
    let end = (bias &+ high &+ 4095) & ~4095
    return Address(first)..<Address(max(first, end))
  }

  /// Finds all modules: a file's first bytes are mapped, they are an ELF header, and its segments lie where that says.
  /// - Parameters:
  ///   - mappings: in address order.
  ///   - read: reads the target's memory.
  ///   - readFile: reads the first bytes of a mapping's file, where memory can't be read.
  public static func find(
    in mappings: [Mapping], read: (Address, UnsafeMutableRawBufferPointer) -> Int, readFile: (Mapping) -> [UInt8]? = { _ in nil }
  ) -> [LoadedModule] {
    var modules: [LoadedModule] = []
    var notModules: Set<UInt64> = []
    for (index, mapping) in mappings.enumerated() {
      guard mapping.fileOffset == 0, mapping.inode != 0 && mapping.name.hasPrefix("/") || mapping.name == "[vdso]" else { continue }
      // A data file may be mapped thousands of times.
      if mapping.inode != 0, notModules.contains(mapping.inode) { continue }
      if let last = modules.last, last.range.contains(mapping.start) { continue }
      guard let header = ELFSegments(start(of: mapping, read) ?? readFile(mapping) ?? []) else {
        notModules.insert(mapping.inode)
        continue
      }
      if let module = LoadedModule(header, at: mapping, index, in: mappings) { modules.append(module) }
    }
    return modules
  }

  private static func start(of mapping: Mapping, _ read: (Address, UnsafeMutableRawBufferPointer) -> Int) -> [UInt8]? {
    guard mapping.isReadable else { return nil }
    let bytes = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
      count = read(mapping.start, UnsafeMutableRawBufferPointer(buffer))
    }
    return bytes.isEmpty ? nil : bytes
  }

  private init?(_ header: ELFSegments, at mapping: Mapping, _ index: Int, in mappings: [Mapping]) {
    guard header.type == ET_EXEC || header.type == ET_DYN else { return nil }
    let loaded = header.loaded
    guard let first = loaded.first(where: { $0.fileOffset & ~4095 == 0 }) else { return nil }
    let bias = mapping.start.rawValue &- (first.address & ~4095)
    guard header.type == ET_DYN || bias == 0 else { return nil }
    // A file that is mapped as data has its header in memory too, but not its segments in their places.
    var isInPlace = true
    var next = index
    for segment in loaded where segment.fileSize > 0 {
      let start = Address((bias &+ segment.address) & ~4095)
      while next < mappings.count, mappings[next].end <= start { next += 1 }
      guard next < mappings.count, mappings[next].contains(start), mappings[next].inode == mapping.inode,
        mappings[next].start - mappings[next].fileOffset == start - (segment.fileOffset & ~4095)
      else {
        isInPlace = false
        break
      }
    }
    // The kernel maps the vdso as one piece, which has no offsets.
    guard isInPlace || mapping.name == "[vdso]" else { return nil }
    path = mapping.name
    self.bias = bias
    segments = loaded.sorted { $0.address < $1.address }
    relocatedReadOnly = header.segments.first { $0.type == UInt32(PT_GNU_RELRO) && $0.address &+ $0.memorySize > $0.address }
      .map { $0.address..<$0.address + $0.memorySize }
  }
}

extension ProcessFacts {
  /// The first bytes of a mapping's file.
  func readFile(of mapping: Mapping) -> [UInt8]? {
    let range = "\(String(mapping.start.rawValue, radix: 16))-\(String(mapping.end.rawValue, radix: 16))"
    for path in ["/proc/\(livingThread)/map_files/\(range)", "/proc/\(livingThread)/root\(mapping.name)", mapping.name] {
      // A device or a pipe may block or have effects when read.
      var status = stat()
      guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, UInt64(status.st_ino) == mapping.inode else { continue }
      if let bytes = ProcFiles.read(path, limit: 4096) { return bytes }
    }
    return nil
  }
}
