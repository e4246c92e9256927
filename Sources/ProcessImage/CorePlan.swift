// Which memory of a snapshot goes into a core file, and in which segments.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The segments of a core file that is to be written.
///
/// Left out are pages that were never touched, which read as zeros, and pages of files that are still as they are on disk.
struct CorePlan {
  struct Segment: Equatable {
    var range: Range<Address>
    /// Bytes from its start that are written.
    var storedSize: UInt64
    var mapping: Int
  }

  private(set) var segments: [Segment] = []
  /// Mapped files that what was left out is to be read from.
  private(set) var files: [String: CoreNotes.FileState] = [:]
  let storedBytes: UInt64

  private struct FileID: Hashable {
    var device: String
    var inode: UInt64
  }

  /// What was never touched in anonymous memory costs nothing in a file with holes, so only long stretches make segments of their own.
  private static let longestHole: UInt64 = 1 << 20
  private static let longestUnchangedPart: UInt64 = 1 << 16

  init(_ snapshot: Snapshot) {
    var stored: UInt64 = 0
    var usable: [FileID: Bool] = [:]
    for (index, mapping) in snapshot.mappings.enumerated() {
      let parts: [Range<Address>]
      var gap = Self.longestHole
      if !mapping.isReadable || Self.isSpecial(mapping.name) {
        parts = []
      } else if mapping.name == "[vdso]" {
        // The kernel's pages, which the page table does not list as the process's.
        parts = [mapping.start..<mapping.end]
      } else if mapping.inode == 0 {
        parts = snapshot.touchedRanges(in: mapping.start..<mapping.end)
      } else {
        // A file may have been replaced by another of the same name.
        let file = FileID(device: mapping.device, inode: mapping.inode)
        if usable[file] == nil {
          let state = Self.fileState(mapping)
          usable[file] = state != nil
          files[mapping.name] = state ?? files[mapping.name]
        }
        parts = usable[file] == true ? Self.changedParts(mapping, snapshot) : snapshot.storedRanges(of: mapping)
        gap = Self.longestUnchangedPart
      }
      for segment in Self.split(mapping, at: parts, longestGap: gap, number: index) {
        stored += segment.storedSize
        segments.append(segment)
      }
    }
    storedBytes = stored
  }

  /// Memory of the kernel or of devices, which can't be read or must not be.
  static func isSpecial(_ name: String) -> Bool {
    if name.hasPrefix("/dev/") { return !name.hasPrefix("/dev/zero") && !name.hasPrefix("/dev/shm/") }
    return name.hasPrefix("[vvar") || name == "[vsyscall]" || name.hasPrefix("anon_inode:")
  }

  /// How the file of a mapping is now; nil where it is not the one that is mapped, or no file that can be found again.
  private static func fileState(_ mapping: Mapping) -> CoreNotes.FileState? {
    guard mapping.name.hasPrefix("/"), !mapping.isDeleted, !mapping.name.hasPrefix("/dev/"), let file = FileContents(path: mapping.name),
      file.inode == mapping.inode
    else { return nil }
    let device = mapping.device.split(separator: ":").compactMap { UInt64($0, radix: 16) }
    // gnu_dev_major(3) and gnu_dev_minor(3).
    let major = file.device >> 8 & 0xfff | file.device >> 32 & 0xffff_f000
    let minor = file.device & 0xff | file.device >> 12 & 0xffff_ff00
    return device == [major, minor] ? CoreNotes.FileState(size: file.size, modified: file.modified) : nil
  }

  /// The pages of a file's mapping that are not in the file, and the start of a program or library, by which debuggers know it.
  private static func changedParts(_ mapping: Mapping, _ snapshot: Snapshot) -> [Range<Address>] {
    var parts = mapping.isShared ? [] : snapshot.privateRanges(in: mapping.start..<mapping.end)
    let firstPage = mapping.start..<min(mapping.end, mapping.start + TargetMemory.pageSize)
    if !mapping.isShared, mapping.fileOffset == 0, !(parts.first.map { $0.contains(mapping.start) } ?? false),
      MappedFile.isELF(snapshot.bytes(mapping.start, count: 64))
    {
      parts.insert(firstPage, at: 0)
    }
    return parts
  }

  /// Segments that begin with memory to be written; memory to be left out follows in the same segment.
  static func split(_ mapping: Mapping, at parts: [Range<Address>], longestGap: UInt64, number: Int) -> [Segment] {
    var result: [Segment] = []
    var stored: [Range<Address>] = []
    for part in parts {
      let part = part.clamped(to: mapping.start..<mapping.end)
      if part.isEmpty { continue }
      if let last = stored.last, part.lowerBound <= last.upperBound + longestGap {
        stored[stored.count - 1] = last.lowerBound..<max(last.upperBound, part.upperBound)
      } else {
        stored.append(part)
      }
    }
    let first = stored.first?.lowerBound ?? mapping.end
    if first > mapping.start { result.append(Segment(range: mapping.start..<first, storedSize: 0, mapping: number)) }
    for (index, part) in stored.enumerated() {
      let end = index + 1 < stored.count ? stored[index + 1].lowerBound : mapping.end
      result.append(Segment(range: part.lowerBound..<end, storedSize: part.upperBound - part.lowerBound, mapping: number))
    }
    return result
  }
}
