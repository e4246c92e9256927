// Writes the notes of a core file as the kernel does (its fs/binfmt_elf.c; the layouts are those of linux/elfcore.h).
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

struct CoreNotesWriter {
  private(set) var bytes: [UInt8] = []

  init(_ snapshot: Snapshot, files: [String: CoreNotes.FileState]) {
    let details = ProcessDetails(snapshot.processID)
    let threads = snapshot.stoppedThreads
    if let main = threads.first { addThread(main, details) }
    add("CORE", NT_PRPSINFO, details.programInformation)
    add("CORE", NT_AUXV, snapshot.auxiliaryVector)
    add("CORE", NT_FILE, Self.fileTable(snapshot.mappings))
    for thread in threads.dropFirst() { addThread(thread, details) }
    let own = CoreNotes.Own.self
    add(own.owner, Int32(own.maps), Array(snapshot.mappings.map(Self.line).joined().utf8))
    add(own.owner, Int32(own.status), ProcFiles.read("/proc/\(snapshot.processID)/status") ?? [])
    add(own.owner, Int32(own.threadNames), Self.text(threads.map { "\($0.tracee.thread) \(Self.escaped($0.name, "\\n"))\n" }))
    add(own.owner, Int32(own.kernelHeldWords), Self.text(snapshot.kernelHeldWords.map { "\($0.holder.rawValue) \($0.value)\n" }))
    let states = files.sorted { $0.key < $1.key }
    add(own.owner, Int32(own.files), Self.text(states.map { "\($0.value.size) \($0.value.modified) \(Self.escaped($0.key, "\\n"))\n" }))
  }

  private mutating func addThread(_ thread: StoppedThread, _ details: ProcessDetails) {
    var status = [UInt8](repeating: 0, count: 112)
    for (index, number) in [thread.tracee.thread, details.parent, details.group, details.session].enumerated() {
      status.replaceSubrange(32 + index * 4..<36 + index * 4, with: Self.little(number))
    }
    status += withUnsafeBytes(of: thread.registers) { Array($0) }
    status += Self.little(Int32(thread.extended.isEmpty ? 0 : 1)) + [0, 0, 0, 0]
    add("CORE", NT_PRSTATUS, status)
    guard thread.extended.count >= 512 else { return }
    add("CORE", NT_PRFPREG, Array(thread.extended.prefix(512)))
    add("LINUX", Int32(NT_X86_XSTATE), thread.extended)
  }

  private mutating func add(_ owner: String, _ type: Int32, _ contents: [UInt8]) {
    let name = Array(owner.utf8) + [0]
    bytes += Self.little(UInt32(name.count)) + Self.little(UInt32(contents.count)) + Self.little(type)
    bytes += name
    pad()
    bytes += contents
    pad()
  }

  private mutating func pad() { while bytes.count % 4 != 0 { bytes.append(0) } }

  private static func fileTable(_ mappings: [Mapping]) -> [UInt8] {
    let files = mappings.filter { $0.inode != 0 && $0.name.hasPrefix("/") }
    var table = little(UInt64(files.count)) + little(TargetMemory.pageSize)
    for file in files {
      table += little(file.start.rawValue) + little(file.end.rawValue) + little(file.fileOffset / TargetMemory.pageSize)
    }
    for file in files { table += Array(file.name.utf8) + Array((file.isDeleted ? " (deleted)" : "").utf8) + [0] }
    return table
  }

  /// The line of /proc/PID/maps.
  private static func line(_ mapping: Mapping) -> String {
    let permissions =
      (mapping.isReadable ? "r" : "-") + (mapping.isWritable ? "w" : "-") + (mapping.isExecutable ? "x" : "-") + (mapping.isShared ? "s" : "p")
    let range = "\(hexadecimal(mapping.start.rawValue))-\(hexadecimal(mapping.end.rawValue))"
    return "\(range) \(permissions) \(hexadecimal(mapping.fileOffset)) \(mapping.device) \(mapping.inode) "
      + "\(escaped(mapping.name, "\\012"))\(mapping.isDeleted ? " (deleted)" : "")\n"
  }

  private static func hexadecimal(_ value: UInt64) -> String { String(value, radix: 16) }

  private static func escaped(_ name: String, _ newline: String) -> String { name.replacing("\n", with: newline) }

  private static func text(_ lines: [String]) -> [UInt8] { Array(lines.joined().utf8) }

  static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
}

/// What a core file says of a process besides its memory.
private struct ProcessDetails {
  private(set) var parent: Int32 = 0
  private(set) var group: Int32 = 0
  private(set) var session: Int32 = 0
  /// `elf_prpsinfo`.
  private(set) var programInformation: [UInt8]

  init(_ process: Int32) {
    var information = [UInt8](repeating: 0, count: 136)
    func put(_ bytes: some Collection<UInt8>, at offset: Int) { information.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
    func put(_ number: Int32, at offset: Int) { put(CoreNotesWriter.little(number), at: offset) }
    // After the name in parentheses, which may hold anything: state, parent, group, session, …, flags (proc(5)).
    let text = ProcFiles.read("/proc/\(process)/stat") ?? []
    let fields = text.lastIndex(of: UInt8(ascii: ")")).map { text[($0 + 1)...].split(separator: UInt8(ascii: " ")) } ?? []
    func number(_ index: Int) -> Int64 { index < fields.count ? Int64(String(decoding: fields[index], as: UTF8.self)) ?? 0 : 0 }
    parent = Int32(truncatingIfNeeded: number(1))
    group = Int32(truncatingIfNeeded: number(2))
    session = Int32(truncatingIfNeeded: number(3))
    information[1] = fields.first?.first ?? UInt8(ascii: "R")
    information[3] = UInt8(truncatingIfNeeded: number(16))
    put(CoreNotesWriter.little(UInt64(bitPattern: number(6))), at: 8)
    let status = ProcessStatus(process)
    put(Int32(truncatingIfNeeded: status?.number("Uid") ?? 0), at: 16)
    put(Int32(truncatingIfNeeded: status?.number("Gid") ?? 0), at: 20)
    for (index, value) in [process, parent, group, session].enumerated() { put(value, at: 24 + index * 4) }
    put(Array(ProcFiles.threadName(process).utf8).prefix(15), at: 40)
    let arguments = (ProcFiles.read("/proc/\(process)/cmdline") ?? []).map { $0 == 0 ? UInt8(ascii: " ") : $0 }
    put(arguments.prefix(79), at: 56)
    programInformation = information
  }
}
