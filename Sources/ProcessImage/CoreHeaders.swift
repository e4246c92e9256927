// The ELF header and program headers of a core file.
// SPDX-License-Identifier: Apache-2.0
import CLinux

/// A piece of memory in a core file (`PT_LOAD`, elf(5)).
struct CoreSegment: Equatable {
  var range: Range<Address>
  /// Where its contents are in the file.
  var offset: UInt64
  /// Bytes of it that the file holds, from its start; what follows was left out.
  var fileSize: UInt64
  var isReadable: Bool
  var isWritable: Bool
  var isExecutable: Bool
}

/// What the headers of a core file say, as far as the file goes.
struct CoreHeaders {
  /// In address order, without overlaps.
  private(set) var segments: [CoreSegment] = []
  /// Where the notes are in the file.
  private(set) var notes: [Range<UInt64>] = []
  /// The size that the file should have.
  private(set) var wholeSize: UInt64 = 0
  /// Headers that lie beyond the file's end.
  private(set) var missingHeaders = 0
  /// Segments that can't be: beyond the address space, or on top of others.
  private(set) var wrongSegments = 0

  static let headerSize = 64
  static let programHeaderSize = 56
  /// The most segments that are looked at: some more than the kernel lets a process have by default.
  static let segmentLimit = 1 << 20
  /// Addresses of programs end here, or at the gate page of old system calls.
  private static let addressLimit: UInt64 = 1 << 47
  static let gatePage: UInt64 = 0xffff_ffff_ff60_0000

  /// - Throws: ``CoreError`` where the file is no core of an x86-64 process.
  init(_ file: FileContents, path: String) throws(CoreError) {
    let header = file.bytes(at: 0, count: Self.headerSize)
    try Self.check(header, path: path)
    guard let tableOffset: UInt64 = header.integer(32), let entrySize: UInt16 = header.integer(54),
      var count = header.integer(56, as: UInt16.self).map(UInt64.init)
    else { throw .isDamaged(path, reason: "it ends within its header") }
    guard Int(entrySize) == Self.programHeaderSize else { throw .isDamaged(path, reason: "its program headers have a wrong size") }
    // With 65,535 or more the number is in the first section header (elf(5), PN_XNUM).
    if count == 0xffff, let section: UInt64 = header.integer(40),
      let real = file.bytes(at: section, count: 64).integer(44, as: UInt32.self), real >= 0xffff
    {
      count = UInt64(real)
    }
    let present = tableOffset < file.size ? (file.size - tableOffset) / UInt64(Self.programHeaderSize) : 0
    let usable = min(count, present, UInt64(Self.segmentLimit))
    missingHeaders = Int(count - usable)
    guard usable > 0 else { throw .isDamaged(path, reason: count == 0 ? "it holds no memory" : "it ends before its program headers") }
    readTable(file, offset: tableOffset, count: Int(usable))
    orderSegments()
  }

  private static func check(_ header: [UInt8], path: String) throws(CoreError) {
    guard header.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else { throw .notCore(path) }
    guard header.count >= 20 else { throw .isDamaged(path, reason: "it ends within its header") }
    let isBigEndian = header[Int(EI_DATA)] == UInt8(ELFDATA2MSB)
    func ordered(_ offset: Int) -> UInt16 {
      let value: UInt16 = header.integer(offset) ?? 0
      return isBigEndian ? value.byteSwapped : value
    }
    switch Int32(ordered(16)) {
    case ET_CORE: break
    case ET_EXEC, ET_DYN: throw .isProgram(path)
    case ET_REL: throw .isObjectFile(path)
    default: throw .notCore(path)
    }
    let machine = ordered(18)
    guard [EM_X86_64, EM_386].contains(Int32(machine)) else { throw .otherArchitecture(path, machine: machine) }
    if header[Int(EI_CLASS)] == UInt8(ELFCLASS32) { throw .is32Bit(path) }
    guard header[Int(EI_CLASS)] == UInt8(ELFCLASS64), !isBigEndian, Int32(machine) == EM_X86_64 else {
      throw .isDamaged(path, reason: "its ELF header contradicts itself")
    }
  }

  private mutating func readTable(_ file: FileContents, offset: UInt64, count: Int) {
    let table = file.bytes(at: offset, count: count * Self.programHeaderSize)
    wholeSize = offset + UInt64(count + missingHeaders) * UInt64(Self.programHeaderSize)
    for index in 0..<count {
      let base = index * Self.programHeaderSize
      guard let type: UInt32 = table.integer(base), let flags: UInt32 = table.integer(base + 4),
        let start: UInt64 = table.integer(base + 8), let address: UInt64 = table.integer(base + 16),
        let fileSize: UInt64 = table.integer(base + 32), let memorySize: UInt64 = table.integer(base + 40)
      else {
        missingHeaders += count - index
        return
      }
      let (end, overflow) = start.addingReportingOverflow(fileSize)
      let isPossible = !overflow && end <= UInt64(Int64.max)
      if type == UInt32(PT_NOTE) {
        guard isPossible else { continue }
        notes.append(start..<end)
        wholeSize = max(wholeSize, end)
      } else if type == UInt32(PT_LOAD), memorySize > 0 {
        // The kernel and gdb write whole pages.
        let (top, wraps) = address.addingReportingOverflow(memorySize)
        let isAddress = !wraps && (top <= Self.addressLimit || address == Self.gatePage && memorySize == 4096)
        guard isPossible, isAddress, address % 4096 == 0, memorySize % 4096 == 0 else {
          wrongSegments += 1
          continue
        }
        if fileSize > 0 { wholeSize = max(wholeSize, end) }
        segments.append(
          CoreSegment(
            range: Address(address)..<Address(top), offset: start, fileSize: min(fileSize, memorySize),
            isReadable: flags & UInt32(PF_R) != 0, isWritable: flags & UInt32(PF_W) != 0, isExecutable: flags & UInt32(PF_X) != 0))
      }
    }
  }

  private mutating func orderSegments() {
    segments.sort { $0.range.lowerBound < $1.range.lowerBound }
    var kept: [CoreSegment] = []
    kept.reserveCapacity(segments.count)
    for segment in segments {
      if let last = kept.last, segment.range.lowerBound < last.range.upperBound {
        wrongSegments += 1
      } else {
        kept.append(segment)
      }
    }
    segments = kept
  }
}
