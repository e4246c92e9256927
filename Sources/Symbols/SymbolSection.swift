// One symbol table section of an ELF file, read in place (elf(5), `Elf64_Sym`).
// SPDX-License-Identifier: Apache-2.0

import CElfutils
import Glibc

/// `.symtab` or `.dynsym`.
struct SymbolSection {
  private let symbols: UnsafeRawBufferPointer
  private let elf: OpaquePointer
  private let strings: Int
  let count: Int

  /// Nil where `file` has no such section.
  init?(_ file: ObjectFile, _ name: String) {
    guard let section = file.section(name), let data = elf_getdata(section.handle, nil),
      let bytes = data.pointee.d_buf, data.pointee.d_type == ELF_T_SYM
    else { return nil }
    symbols = UnsafeRawBufferPointer(start: bytes, count: data.pointee.d_size)
    elf = file.elf
    strings = Int(section.header.sh_link)
    count = min(symbols.count / MemoryLayout<Elf64_Sym>.stride, Int(UInt32.max))
  }

  subscript(index: UInt32) -> Elf64_Sym {
    symbols.loadUnaligned(fromByteOffset: Int(index) * MemoryLayout<Elf64_Sym>.stride, as: Elf64_Sym.self)
  }

  func bytes(_ index: UInt32) -> UnsafePointer<CChar>? {
    UnsafePointer(elf_strptr(elf, strings, Int(self[index].st_name)))
  }

  /// The name without a version (`malloc@@GLIBC_2.2.5`).
  func name(_ index: UInt32) -> String? {
    guard let bytes = bytes(index), bytes[0] != 0 else { return nil }
    let name = String(cString: bytes)
    guard let end = name.firstIndex(of: "@"), end != name.startIndex else { return name }
    return String(name[..<end])
  }

  /// The link-time address of a defined function or variable.
  func address(of name: String) -> UInt64? {
    let wanted = Array(name.utf8CString.dropLast())
    for index in 0..<UInt32(count) {
      let symbol = self[index]
      guard symbol.isDefined, symbol.isFunction || symbol.isData || symbol.isLabel, let bytes = bytes(index)
      else { continue }
      if strncmp(bytes, wanted, wanted.count) == 0, [0, CChar(UInt8(ascii: "@"))].contains(bytes[wanted.count]) {
        return symbol.st_value
      }
    }
    return nil
  }

  /// Whether the first of two names for one address is the one that programmers know: `malloc`, not `__libc_malloc`.
  func isPlainer(_ a: UInt32, than b: UInt32) -> Bool {
    func key(_ index: UInt32) -> (Int, Int, Int, Int) {
      let symbol = self[index]
      guard let bytes = bytes(index) else { return (2, 0, 0, 0) }
      var underscores = 0
      while bytes[underscores] == UInt8(ascii: "_"), bytes[underscores + 1] != UInt8(ascii: "Z") { underscores += 1 }
      return (symbol.isLocal ? 1 : 0, symbol.isLabel ? 1 : 0, underscores, strlen(bytes))
    }
    return key(a) < key(b)
  }
}

extension Elf64_Sym {
  private var type: Int32 { Int32(st_info & 0xf) }
  /// Defined in a section of this file: neither imported nor an absolute number.
  var isDefined: Bool {
    let section = Int32(st_shndx)
    return section != SHN_UNDEF && (section < SHN_LORESERVE || section == SHN_XINDEX)
  }
  var isFunction: Bool { type == STT_FUNC || type == STT_GNU_IFUNC }
  /// A variable, but not a thread-local one: those have offsets for addresses.
  var isData: Bool { type == STT_OBJECT }
  /// A thread-local variable, whose value is an offset in its module's thread-local memory.
  var isThreadLocal: Bool { type == STT_TLS }
  var isLabel: Bool { type == STT_NOTYPE }
  var isLocal: Bool { Int32(st_info >> 4) == STB_LOCAL }
}
