// A process's memory, mappings and threads as a core file holds them.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// An ELF core file of an x86-64 process: the kernel's, gdb's `gcore`'s or `mallow snapshot`'s, also compressed with zstd.
///
/// What a core leaves out because it is in the files that the process had mapped is read from these files, as long as they are still
/// the ones that were mapped; ``notes`` say where they are not. Nothing in the file is trusted.
public final class CoreFile: ProcessImage {
  /// Always 0: the process that the core is of has gone, and another may have its id.
  public var processID: Int32 { 0 }
  /// The process id that the core names.
  public let recordedProcessID: Int32?
  public let executable: String
  /// As the kernel listed them where `mallow snapshot` wrote the core. Others do not say which mappings are shared nor their inodes;
  /// an inode is then that of the file as it is now, or `UInt64.max`.
  public let mappings: [Mapping]
  public let threads: [ThreadState]
  /// The signal that ended the process, or nil.
  public let signal: Int32?
  /// What the kernel told the program at its start: values by their `AT_` number (getauxval(3)).
  public let auxiliaryVector: [UInt64: UInt64]
  /// The text of `/proc/PID/status` when `mallow snapshot` wrote the core; else empty.
  public let statusText: String
  /// Known where `mallow snapshot` wrote the core; else none.
  public let kernelHeldWords: [KernelHeldWord]
  /// What could not be read, and why: one sentence each.
  public let notes: [String]

  let memory: CoreMemory

  /// Opens a core file.
  /// - Throws: ``CoreError``.
  public init(path: String) throws(CoreError) {
    let file = try Self.open(path)
    var contents = file
    var cutShort = false
    if let format = Compression(magic: file.bytes(at: 0, count: 8)) {
      guard format == .zstd else { throw .isCompressed(path, format: format.rawValue) }
      (contents, cutShort) = try Decompression.decompress(file, path: path)
    }
    let headers = try CoreHeaders(contents, path: path)
    let notes = CoreNotes(contents, ranges: headers.notes)
    memory = CoreMemory(contents, headers, notes, coreModified: file.modified)
    let mappings = CoreMappings(memory, notes)
    self.mappings = mappings.mappings
    recordedProcessID = notes.processID
    auxiliaryVector = notes.auxiliaryVector
    kernelHeldWords = notes.kernelHeldWords
    statusText = String(decoding: notes.status, as: UTF8.self)
    // The kernel lists the thread that the signal hit first.
    signal = notes.threads.first.flatMap { $0.signal > 0 ? $0.signal : nil }
    threads = Self.threads(notes)
    let name = mappings.executable
    executable = name.isEmpty ? notes.name : name
    var remarks = CoreRemarks()
    remarks.add(contents, headers, cutShort: cutShort)
    remarks.add(notes)
    remarks.add(unusable: memory.unusable)
    remarks.add(threads, memory)
    self.notes = remarks.sentences
  }

  private static func open(_ path: String) throws(CoreError) -> FileContents {
    guard let file = FileContents(path: path) else {
      let code = errno
      if code == ENOENT || code == ENOTDIR { throw .notFound(path) }
      guard code == 0 else { throw .unreadable(path, code: code) }
      var status = stat()
      throw stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR ? .isDirectory(path) : .notRegular(path)
    }
    if file.size == 0 { throw .isEmpty(path) }
    return file
  }

  private static func threads(_ notes: CoreNotes) -> [ThreadState] {
    let main = notes.processID
    let ordered = notes.threads.filter { $0.threadID == main } + notes.threads.filter { $0.threadID != main }
    return ordered.map { thread in
      let name = notes.threadNames[thread.threadID] ?? (thread.threadID == main ? notes.name : "")
      return ThreadState(threadID: thread.threadID, name: name, registers: thread.registers, extended: thread.extended)
    }
  }

  public func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int { memory.read(address, into: buffer) }

  public func touchedRanges(in range: Range<Address>) -> [Range<Address>] { memory.touchedRanges(in: range) }
}
