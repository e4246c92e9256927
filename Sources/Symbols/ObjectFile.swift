// An ELF file: its segments, its build id, where its symbols and its debug information are.
// SPDX-License-Identifier: Apache-2.0

import CElfutils
import Glibc

/// A 64-bit x86 ELF file, opened by libelf, which maps it and reads only what is asked for.
final class ObjectFile {
  /// A loadable segment (elf(5), `PT_LOAD`).
  struct Segment {
    var fileOffset, address, fileSize, memorySize: UInt64
    var isExecutable: Bool
    var isWritable: Bool
  }

  struct Section {
    var handle: OpaquePointer
    var name: String
    var header: GElf_Shdr
  }

  let elf: OpaquePointer
  let path: String
  let segments: [Segment]
  let sections: [Section]
  /// Empty where the file has none.
  let buildID: [UInt8]
  /// Where the build id lies once loaded, before relocation.
  let buildIDAddress: UInt64?
  /// 0 for an image in memory.
  let inode: UInt64
  private let descriptor: Int32
  /// What an image in memory is backed by.
  private let memory: UnsafeMutableRawBufferPointer?

  /// Where separate debug files are looked for: the directories of the system that the target runs in come first.
  var debugRoots: [String] = ["/usr/lib/debug"]

  /// Opens a file. Nil where it can't be read or isn't a 64-bit x86 ELF file.
  convenience init?(path: String, opening real: String? = nil) {
    let descriptor = open(real ?? path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    // A device or a pipe may block or have effects when read.
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      return nil
    }
    elf_version(UInt32(EV_CURRENT))
    guard let elf = elf_begin(descriptor, ELF_C_READ_MMAP, nil) else {
      close(descriptor)
      return nil
    }
    self.init(elf: elf, path: path, inode: UInt64(status.st_ino), descriptor: descriptor, memory: nil)
  }

  /// Opens an ELF file that lies in memory, such as the vdso.
  convenience init?(bytes: [UInt8], path: String) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 16)
    memory.copyBytes(from: bytes)
    elf_version(UInt32(EV_CURRENT))
    guard let elf = elf_memory(memory.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count) else {
      memory.deallocate()
      return nil
    }
    self.init(elf: elf, path: path, inode: 0, descriptor: -1, memory: memory)
  }

  private init?(
    elf: OpaquePointer, path: String, inode: UInt64, descriptor: Int32, memory: UnsafeMutableRawBufferPointer?
  ) {
    self.inode = inode
    self.elf = elf
    self.path = path
    self.descriptor = descriptor
    self.memory = memory
    var header = GElf_Ehdr()
    let isUsable =
      elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) != nil && gelf_getclass(elf) == ELFCLASS64
      && Int32(header.e_machine) == EM_X86_64
    var segments: [Segment] = []
    var notes: [(section: Bool, offset: UInt64, size: UInt64, address: UInt64)] = []
    var count = 0
    if isUsable, elf_getphdrnum(elf, &count) == 0 {
      for index in 0..<min(count, 4096) {
        var program = GElf_Phdr()
        guard gelf_getphdr(elf, Int32(index), &program) != nil else { break }
        if program.p_type == PT_LOAD {
          segments.append(
            Segment(
              fileOffset: program.p_offset, address: program.p_vaddr, fileSize: program.p_filesz,
              memorySize: program.p_memsz, isExecutable: program.p_flags & UInt32(PF_X) != 0,
              isWritable: program.p_flags & UInt32(PF_W) != 0))
        } else if program.p_type == PT_NOTE {
          notes.append((false, program.p_offset, program.p_filesz, program.p_vaddr))
        }
      }
    }
    var sections: [Section] = []
    var names = 0
    // libelf takes a section's size as the file gives it, and libdw trusts that: a file with a section outside of it
    // is no use.
    var isWhole = true
    var fileSize = 0
    elf_rawfile(elf, &fileSize)
    if isUsable, elf_getshdrstrndx(elf, &names) == 0 {
      var next = elf_nextscn(elf, nil)
      while let handle = next, sections.count < 100_000 {
        var header = GElf_Shdr()
        if gelf_getshdr(handle, &header) != nil {
          let isInside =
            header.sh_type == UInt32(SHT_NOBITS)
            || header.sh_offset <= UInt64(fileSize) && header.sh_size <= UInt64(fileSize) - header.sh_offset
          isWhole = isWhole && isInside
          let name = elf_strptr(elf, names, Int(header.sh_name)).map { String(cString: $0) } ?? ""
          sections.append(Section(handle: handle, name: name, header: header))
          if header.sh_type == UInt32(SHT_NOTE) {
            notes.append((true, header.sh_offset, header.sh_size, header.sh_addr))
          }
        }
        next = elf_nextscn(elf, handle)
      }
    }
    self.segments = segments
    self.sections = sections
    var found: (id: [UInt8], address: UInt64)?
    for note in notes where found == nil && note.size < 1 << 20 {
      // A debug file keeps its segments' headers, though not their contents: its notes are found by section.
      if !note.section, sections.contains(where: { $0.header.sh_type == UInt32(SHT_NOTE) }) { continue }
      guard let data = elf_getdata_rawchunk(elf, Int64(bitPattern: note.offset), Int(note.size), ELF_T_NHDR)
      else { continue }
      found = ObjectFile.findBuildID(data, address: note.address)
    }
    buildID = found?.id ?? []
    buildIDAddress = found?.address
    guard isUsable, isWhole else { return nil }
  }

  deinit {
    elf_end(elf)
    if descriptor >= 0 { close(descriptor) }
    memory?.deallocate()
  }

  private static func findBuildID(
    _ data: UnsafeMutablePointer<Elf_Data>, address: UInt64
  ) -> (id: [UInt8], address: UInt64)? {
    var offset = 0
    var note = GElf_Nhdr()
    var name = 0
    var contents = 0
    while true {
      let next = gelf_getnote(data, offset, &note, &name, &contents)
      guard next > offset, let bytes = data.pointee.d_buf else { return nil }
      if note.n_type == UInt32(NT_GNU_BUILD_ID), note.n_namesz == 4, (1...64).contains(note.n_descsz),
        memcmp(bytes + name, "GNU", 4) == 0
      {
        let id = UnsafeRawBufferPointer(start: bytes + contents, count: Int(note.n_descsz))
        return ([UInt8](id), address &+ UInt64(contents))
      }
      offset = next
    }
  }

  func section(_ name: String) -> Section? { sections.first { $0.name == name && $0.header.sh_type != SHT_NOBITS } }

  var hasDebugInformation: Bool { section(".debug_info") != nil || section(".zdebug_info") != nil }

  /// Whether a link-time address lies in a loaded segment.
  func isLoaded(_ address: UInt64) -> Bool {
    segments.contains { address >= $0.address && address - $0.address < $0.memorySize }
  }

  /// Whether a link-time address lies in code.
  func isCode(_ address: UInt64) -> Bool {
    segments.contains { $0.isExecutable && address >= $0.address && address - $0.address < $0.memorySize }
  }

  /// The file with this file's debug information or full symbol table, if it was split off: by build id, then by
  /// debug link.
  lazy var separateDebugFile: ObjectFile? = findDebugFile()
  /// Symbols of functions and data, sorted by address.
  lazy var symbols = SymbolTable(self)
  /// DWARF, of this file or its separate debug file.
  lazy var debugInformation: DebugInformation? =
    hasDebugInformation
    ? DebugInformation(self, code: self) : separateDebugFile.flatMap { DebugInformation($0, code: self) }
}
