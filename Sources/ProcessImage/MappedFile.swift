// The files that a core file relies on for what it leaves out.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A file that a process had mapped, found again and still the same.
final class MappedFile {
  /// Why a file can't be used, to complete "the file …".
  enum Problem: String, Error {
    case isGone = "is not there"
    case isDeleted = "was deleted"
    case isUnreadable = "can't be read"
    case hasChanged = "has changed since"
  }

  /// What tells whether it is still the file that was mapped.
  struct Evidence {
    /// The file's first bytes as they were in memory.
    var start: [UInt8] = []
    /// What Mallow noted when it wrote the core.
    var state: CoreNotes.FileState?
    /// When the core file was written, in nanoseconds since 1970.
    var coreModified: Int64
  }

  let size: UInt64
  let inode: UInt64
  /// The loadable segments of an ELF file.
  let segments: [Segment]
  private let path: String
  private let modified: Int64
  private var contents: FileContents?

  struct Segment {
    var fileRange: Range<UInt64>
    var isExecutable: Bool
  }

  /// - Parameter staysOpen: false opens the file anew for each read, where there are very many.
  init(_ path: String, evidence: Evidence, staysOpen: Bool) throws(Problem) {
    // Files there are made up at each reading.
    guard !path.hasPrefix("/proc/"), !path.hasPrefix("/sys/"), !path.hasPrefix("/dev/") else { throw .isUnreadable }
    guard let contents = FileContents(path: path) else { throw errno == ENOENT || errno == ENOTDIR ? .isGone : .isUnreadable }
    let start = contents.bytes(at: 0, count: 4096)
    guard Self.isSame(contents, start: start, evidence) else { throw .hasChanged }
    self.path = path
    size = contents.size
    inode = contents.inode
    modified = contents.modified
    self.contents = staysOpen ? contents : nil
    segments = Self.segments(start)
  }

  /// The first page of an ELF file has its headers and, in most, its build id. Of other files the time of the last change must do.
  private static func isSame(_ file: FileContents, start: [UInt8], _ evidence: Evidence) -> Bool {
    if let state = evidence.state { return state == CoreNotes.FileState(size: file.size, modified: file.modified) }
    let known = evidence.start.prefix(start.count)
    guard start.starts(with: known) else { return false }
    return isELF(known) || file.modified <= evidence.coreModified
  }

  static func isELF(_ start: some Collection<UInt8>) -> Bool { start.count >= 64 && start.starts(with: [0x7f, 0x45, 0x4c, 0x46]) }

  /// Reads at an offset; behind the end the last page holds zeros. Returns the number of bytes read.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard let file = contents ?? FileContents(path: path), file.inode == inode, file.modified == modified else { return 0 }
    let end = size.roundedUp(to: 4096)
    guard offset < end else { return 0 }
    let wanted = Int(min(UInt64(buffer.count), end - offset))
    let stored = offset < size ? Int(min(UInt64(wanted), size - offset)) : 0
    let count = file.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<stored]))
    guard count == stored else { return count }
    UnsafeMutableRawBufferPointer(rebasing: buffer[stored..<wanted]).initializeMemory(as: UInt8.self, repeating: 0)
    return wanted
  }

  /// The loadable segments of an ELF file whose program headers are on its first page.
  private static func segments(_ start: [UInt8]) -> [Segment] {
    guard isELF(start), let table: UInt64 = start.integer(32), let count: UInt16 = start.integer(56), table < 4096 else { return [] }
    return (0..<min(Int(count), 64)).compactMap { index in
      let base = Int(table) + index * CoreHeaders.programHeaderSize
      guard let type: UInt32 = start.integer(base), type == 1, let flags: UInt32 = start.integer(base + 4),
        let offset: UInt64 = start.integer(base + 8), let size: UInt64 = start.integer(base + 32), size <= 1 << 47, offset <= 1 << 47
      else { return nil }
      return Segment(fileRange: offset & ~4095..<(offset + size).roundedUp(to: 4096), isExecutable: flags & 1 != 0)
    }
  }

  /// Whether code is at an offset.
  func isExecutable(at offset: UInt64) -> Bool {
    // Two segments may share a page of the file: the one that begins there is meant.
    let segment = segments.first { $0.fileRange.lowerBound == offset } ?? segments.first { $0.fileRange.contains(offset) }
    return segment?.isExecutable ?? false
  }
}
