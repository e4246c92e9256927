// The notes of a core file: its threads, mapped files, auxiliary vector (core(5); the layouts are those of linux/elfcore.h).
// SPDX-License-Identifier: Apache-2.0
import CLinux

/// What the notes of a core file say.
struct CoreNotes {
  /// A part of a mapped file (`NT_FILE`).
  struct FileRange: Equatable {
    var range: Range<Address>
    var fileOffset: UInt64
    var name: String
    var isDeleted: Bool

    var id: FileID { FileID(name: name, isDeleted: isDeleted) }
  }

  /// A file that was deleted is another than the one that has its name now.
  struct FileID: Hashable {
    var name: String
    var isDeleted: Bool
  }

  /// A thread as it stood.
  struct Thread {
    var threadID: Int32
    var signal: Int32
    var registers: user_regs_struct
    /// The XSAVE area, or the FXSAVE area where the core has no more.
    var extended: [UInt8] = []
  }

  private(set) var threads: [Thread] = []
  private(set) var files: [FileRange] = []
  private(set) var auxiliaryVector: [UInt64: UInt64] = [:]
  private(set) var processID: Int32?
  /// The program's name as the kernel keeps it: 15 bytes at most.
  private(set) var name = ""
  /// The text of `/proc/PID/maps`, where Mallow wrote the core; else empty.
  private(set) var maps: [UInt8] = []
  /// The text of `/proc/PID/status`, where Mallow wrote the core; else empty.
  private(set) var status: [UInt8] = []
  private(set) var threadNames: [Int32: String] = [:]
  private(set) var kernelHeldWords: [KernelHeldWord] = []
  /// Files as they were when Mallow wrote the core, by name.
  private(set) var fileStates: [String: FileState] = [:]
  /// Notes that are cut off or contradict themselves.
  private(set) var wrongNotes = 0

  /// What tells whether a file is still the one that was mapped.
  struct FileState: Equatable {
    var size: UInt64
    /// In nanoseconds since 1970.
    var modified: Int64
  }

  /// The notes that Mallow writes, whose owner is called `Mallow`.
  enum Own {
    static let owner = "Mallow"
    /// The text of `/proc/PID/maps`.
    static let maps: UInt32 = 1
    /// The text of `/proc/PID/status`.
    static let status: UInt32 = 2
    /// A line `ID NAME` for each thread; a newline in a name is `\n`.
    static let threadNames: UInt32 = 3
    /// A line `SIZE NANOSECONDS PATH` for each mapped file.
    static let files: UInt32 = 4
    /// A line `HOLDER VALUE` for each word that the kernel holds, such as `epoll 94560133`.
    static let kernelHeldWords: UInt32 = 5
  }

  private enum Layout {
    /// In `elf_prstatus`.
    static let signal = 12
    static let threadID = 32
    static let registers = 112
    /// In `elf_prpsinfo`.
    static let processID = 24
    static let name = 40
  }

  /// No process has more threads.
  private static let threadLimit = 1 << 22
  private static let noteLimit: UInt64 = 1 << 28

  init(_ file: FileContents, ranges: [Range<UInt64>]) {
    for range in ranges {
      var position = range.lowerBound
      let end = min(range.upperBound, file.size)
      if end < range.upperBound { wrongNotes += 1 }
      while position < end, end - position >= 12 {
        let header = file.bytes(at: position, count: 12)
        guard let nameSize: UInt32 = header.integer(0), let size: UInt32 = header.integer(4), let type: UInt32 = header.integer(8) else {
          break
        }
        let contents = position + 12 + UInt64(nameSize).roundedUp(to: 4)
        let next = contents + UInt64(size).roundedUp(to: 4)
        guard nameSize <= 64, UInt64(size) <= Self.noteLimit, contents + UInt64(size) <= end else {
          wrongNotes += 1
          break
        }
        let owner = file.bytes(at: position + 12, count: Int(nameSize)).text(0, limit: 64)
        if isWanted(owner, type), !take(owner, type, file.bytes(at: contents, count: Int(size))) { wrongNotes += 1 }
        position = next
      }
    }
  }

  private func isWanted(_ owner: String, _ type: UInt32) -> Bool {
    switch owner {
    case "CORE": [NT_PRSTATUS, NT_PRFPREG, NT_PRPSINFO, NT_AUXV, NT_FILE].contains(Int32(bitPattern: type))
    case "LINUX": type == UInt32(NT_X86_XSTATE)
    case Own.owner: true
    default: false
    }
  }

  /// Returns false where the note contradicts itself.
  private mutating func take(_ owner: String, _ type: UInt32, _ bytes: [UInt8]) -> Bool {
    if owner == Own.owner { return takeOwn(type, bytes) }
    switch Int32(bitPattern: type) {
    case NT_PRSTATUS: return takeThread(bytes)
    case NT_PRFPREG:
      guard !threads.isEmpty else { return false }
      if threads[threads.count - 1].extended.isEmpty { threads[threads.count - 1].extended = Array(bytes.prefix(512)) }
    case Int32(bitPattern: UInt32(NT_X86_XSTATE)):
      guard !threads.isEmpty, bytes.count <= 1 << 16 else { return false }
      threads[threads.count - 1].extended = bytes
    case NT_PRPSINFO:
      guard let process: Int32 = bytes.integer(Layout.processID) else { return false }
      processID = process
      name = bytes.text(Layout.name, limit: 16)
    case NT_AUXV:
      for offset in stride(from: 0, to: min(bytes.count, 4096) - 15, by: 16) {
        guard let key: UInt64 = bytes.integer(offset), let value: UInt64 = bytes.integer(offset + 8), key != 0 else { break }
        auxiliaryVector[key] = value
      }
    case NT_FILE: return takeFiles(bytes)
    default: break
    }
    return true
  }

  private mutating func takeThread(_ bytes: [UInt8]) -> Bool {
    guard bytes.count >= Layout.registers + MemoryLayout<user_regs_struct>.size, threads.count < Self.threadLimit, let thread: Int32 = bytes.integer(Layout.threadID),
      let signal: UInt16 = bytes.integer(Layout.signal)
    else { return false }
    let registers = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: Layout.registers, as: user_regs_struct.self) }
    threads.append(Thread(threadID: thread, signal: Int32(signal), registers: registers))
    return true
  }

  /// The number of ranges, the unit of offsets, for each range its start, end and offset, then the names, each with a zero byte.
  private mutating func takeFiles(_ bytes: [UInt8]) -> Bool {
    guard let count: UInt64 = bytes.integer(0), let unit: UInt64 = bytes.integer(8), count <= UInt64(bytes.count - 16) / 24 else {
      return false
    }
    var isSound = true
    var name = 16 + Int(count) * 24
    var previous = Address(0)
    for index in 0..<Int(count) {
      let base = 16 + index * 24
      guard let start: UInt64 = bytes.integer(base), let end: UInt64 = bytes.integer(base + 8), let offset: UInt64 = bytes.integer(base + 16),
        name < bytes.count, let nameEnd = bytes[name...].firstIndex(of: 0)
      else { return false }
      let path = String(decoding: bytes[name..<nameEnd], as: UTF8.self)
      name = nameEnd + 1
      let (fileOffset, overflow) = offset.multipliedReportingOverflow(by: unit)
      guard !overflow, start < end, end <= 1 << 47, start % 4096 == 0, end % 4096 == 0, previous.rawValue <= start,
        fileOffset <= UInt64(Int64.max) - (end - start)
      else {
        isSound = false
        continue
      }
      previous = Address(end)
      let mark = " (deleted)"
      let isDeleted = path.hasSuffix(mark)
      files.append(
        FileRange(
          range: Address(start)..<Address(end), fileOffset: fileOffset, name: isDeleted ? String(path.dropLast(mark.count)) : path,
          isDeleted: isDeleted))
    }
    return isSound
  }

  private mutating func takeOwn(_ type: UInt32, _ bytes: [UInt8]) -> Bool {
    switch type {
    case Own.maps: maps = bytes
    case Own.status: status = bytes
    case Own.threadNames:
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
        let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let thread = Int32(parts[0]) else { return false }
        threadNames[thread] = String(parts[1]).replacing("\\n", with: "\n")
      }
    case Own.kernelHeldWords:
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
        let parts = line.split(separator: " ")
        guard parts.count == 2, let holder = KernelHeldWord.Holder(rawValue: String(parts[0])), let value = UInt64(parts[1]) else {
          return false
        }
        kernelHeldWords.append(KernelHeldWord(holder, value))
      }
    case Own.files:
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
        let parts = line.split(separator: " ", maxSplits: 2)
        guard parts.count == 3, let size = UInt64(parts[0]), let modified = Int64(parts[1]) else { return false }
        fileStates[String(parts[2]).replacing("\\n", with: "\n")] = FileState(size: size, modified: modified)
      }
    default: break
    }
    return true
  }
}

extension UInt64 {
  /// The next multiple of a power of two; wraps around at the end.
  func roundedUp(to unit: UInt64) -> UInt64 { (self &+ unit &- 1) & ~(unit - 1) }
}
