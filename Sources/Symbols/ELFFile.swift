// The loadable parts and the sections of an ELF file of any class, for showing them.
// SPDX-License-Identifier: Apache-2.0
import CElfutils
import Glibc

/// An ELF file's header, program headers and section headers (elf(5)), 32 or 64 bit, of any processor and byte order.
public struct ELFFile: Sendable {
  public struct Segment: Hashable, Sendable {
    /// `PT_LOAD` and so on.
    public var type, flags: UInt32
    public var fileOffset, address, fileSize, memorySize, alignment: UInt64

    /// Whether the loader maps it.
    public var isLoaded: Bool { type == UInt32(PT_LOAD) }
    /// What is made read-only after relocation.
    public var isReadOnlyAfterRelocation: Bool { type == UInt32(PT_GNU_RELRO) }
    /// The template of thread-local variables.
    public var isThreadLocal: Bool { type == UInt32(PT_TLS) }
    /// What the main stack may be used for.
    public var isStack: Bool { type == UInt32(PT_GNU_STACK) }
    public var isReadable: Bool { flags & UInt32(PF_R) != 0 }
    public var isWritable: Bool { flags & UInt32(PF_W) != 0 }
    public var isExecutable: Bool { flags & UInt32(PF_X) != 0 }
  }

  public struct Section: Hashable, Sendable {
    public var name: String
    public var address, fileOffset, size: UInt64
    /// Whether it takes memory when loaded (`SHF_ALLOC`).
    public var isLoaded: Bool
    /// Whether it is thread-local (`SHF_TLS`).
    public var isThreadLocal: Bool
    /// Whether the file holds nothing of it: zeros (`SHT_NOBITS`).
    public var isZeros: Bool
  }

  public let path: String
  public let is64Bit: Bool
  /// `ET_EXEC`, `ET_DYN`, `ET_REL`, `ET_CORE`.
  public let type: Int32
  /// `EM_X86_64` and so on.
  public let machine: Int32
  public let entry: UInt64
  public let fileSize: UInt64
  public let segments: [Segment]
  public let sections: [Section]
  /// The loader that it asks for.
  public let interpreter: String?
  public let buildID: String?
  /// What is damaged in it, a sentence each.
  public let notes: [String]

  public var isCore: Bool { type == ET_CORE }

  /// For people: `64-bit x86-64 position-independent executable or library`.
  public var format: String {
    let machineName =
      switch machine {
      case EM_X86_64: "x86-64"
      case EM_386: "i386"
      case EM_AARCH64: "aarch64"
      case EM_ARM: "ARM"
      case EM_RISCV: "RISC-V"
      case EM_PPC64: "PowerPC"
      case EM_S390: "S/390"
      default: "machine \(machine)"
      }
    let typeName =
      switch type {
      case ET_EXEC: "executable at fixed addresses"
      case ET_DYN: interpreter == nil ? "shared object" : "position-independent executable"
      case ET_REL: "object file"
      case ET_CORE: "core file"
      default: "file of type \(type)"
      }
    return "\(is64Bit ? "64" : "32")-bit \(machineName) \(typeName)"
  }

  /// Reads a file's headers.
  /// - Throws: ``ELFFileError``.
  public init(path: String) throws(ELFFileError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw ELFFileError(description: "\(path) can't be opened: \(String(cString: strerror(errno))).") }
    defer { close(descriptor) }
    var status = stat()
    // A device or a pipe may block or have effects when read.
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw ELFFileError(description: "\(path) is not a file: name a process id, a core file or an ELF file.")
    }
    elf_version(UInt32(EV_CURRENT))
    // Not mapped: a file that shrinks meanwhile would end this program.
    guard let elf = elf_begin(descriptor, ELF_C_READ, nil) else {
      throw ELFFileError(description: "\(path) can't be read: \(Self.lastError).")
    }
    defer { elf_end(elf) }
    var header = GElf_Ehdr()
    guard elf_kind(elf) == ELF_K_ELF, gelf_getehdr(elf, &header) != nil else {
      throw ELFFileError(description: "\(path) is not an ELF file: name a process id, a core file, a program or a library.")
    }
    self.path = path
    is64Bit = gelf_getclass(elf) == ELFCLASS64
    type = Int32(header.e_type)
    machine = Int32(header.e_machine)
    entry = header.e_entry
    fileSize = UInt64(max(0, status.st_size))
    var notes: [String] = []
    segments = Self.segments(elf, fileSize, &notes)
    sections = Self.sections(elf, fileSize, &notes)
    interpreter = segments.first { $0.type == UInt32(PT_INTERP) }
      .flatMap { Self.bytes(descriptor, $0.fileOffset, $0.fileSize, limit: 4096) }
      .map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    buildID = Self.buildID(elf, segments, fileSize)
    self.notes = notes
  }

  private static var lastError: String { elf_errmsg(-1).map { String(cString: $0) } ?? "unknown error" }

  private static func segments(_ elf: OpaquePointer, _ fileSize: UInt64, _ notes: inout [String]) -> [Segment] {
    var count = 0
    guard elf_getphdrnum(elf, &count) == 0 else {
      notes.append("The table of segments is damaged: \(lastError).")
      return []
    }
    var segments: [Segment] = []
    for index in 0..<min(count, 65536) {
      var program = GElf_Phdr()
      guard gelf_getphdr(elf, Int32(index), &program) != nil else {
        notes.append("The table of segments is cut off after \(index) of \(count).")
        break
      }
      segments.append(
        Segment(
          type: program.p_type, flags: program.p_flags, fileOffset: program.p_offset, address: program.p_vaddr,
          fileSize: program.p_filesz, memorySize: program.p_memsz, alignment: program.p_align))
      if program.p_type == UInt32(PT_LOAD), program.p_offset > fileSize || program.p_filesz > fileSize - program.p_offset {
        notes.append("Segment \(index) reaches beyond the end of the file, which is truncated or damaged.")
      }
    }
    return segments
  }

  private static func sections(_ elf: OpaquePointer, _ fileSize: UInt64, _ notes: inout [String]) -> [Section] {
    var names = 0
    guard elf_getshdrstrndx(elf, &names) == 0 else { return [] }
    var sections: [Section] = []
    var next = elf_nextscn(elf, nil)
    var outside = 0
    while let handle = next, sections.count < 100_000 {
      var header = GElf_Shdr()
      if gelf_getshdr(handle, &header) != nil {
        let isZeros = header.sh_type == UInt32(SHT_NOBITS)
        if !isZeros, header.sh_offset > fileSize || header.sh_size > fileSize - header.sh_offset { outside += 1 }
        sections.append(
          Section(
            name: elf_strptr(elf, names, Int(header.sh_name)).map { String(cString: $0) } ?? "", address: header.sh_addr,
            fileOffset: header.sh_offset, size: header.sh_size, isLoaded: header.sh_flags & UInt64(SHF_ALLOC) != 0,
            isThreadLocal: header.sh_flags & UInt64(SHF_TLS) != 0, isZeros: isZeros))
      }
      next = elf_nextscn(elf, handle)
    }
    if outside > 0 { notes.append("\(outside) of \(sections.count) sections reach beyond the end of the file.") }
    return sections
  }

  /// Bytes of the file, or nil where they are not there.
  private static func bytes(_ descriptor: Int32, _ offset: UInt64, _ size: UInt64, limit: UInt64) -> [UInt8]? {
    guard size > 0, size <= limit, offset < 1 << 62 else { return nil }
    var buffer = [UInt8](repeating: 0, count: Int(size))
    guard pread(descriptor, &buffer, buffer.count, off_t(offset)) == buffer.count else { return nil }
    return buffer
  }

  private static func buildID(_ elf: OpaquePointer, _ segments: [Segment], _ fileSize: UInt64) -> String? {
    for segment in segments where segment.type == UInt32(PT_NOTE) && segment.fileSize < 1 << 20 {
      guard segment.fileOffset <= fileSize, segment.fileSize <= fileSize - segment.fileOffset,
        let data = elf_getdata_rawchunk(
          elf, Int64(segment.fileOffset), Int(segment.fileSize), segment.alignment == 8 ? ELF_T_NHDR8 : ELF_T_NHDR)
      else { continue }
      var offset = 0
      var note = GElf_Nhdr()
      var name = 0
      var contents = 0
      while case let next = gelf_getnote(data, offset, &note, &name, &contents), next > offset, let bytes = data.pointee.d_buf {
        if note.n_type == UInt32(NT_GNU_BUILD_ID), note.n_namesz == 4, (1...64).contains(note.n_descsz), memcmp(bytes + name, "GNU", 4) == 0 {
          return UnsafeRawBufferPointer(start: bytes + contents, count: Int(note.n_descsz))
            .map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        offset = next
      }
    }
    return nil
  }
}

/// Why a file can't be shown. Its description is one plain sentence.
public struct ELFFileError: Error, Hashable, CustomStringConvertible {
  public let description: String
}
