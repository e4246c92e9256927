// The few facts of an ELF file that decide whether a library can be preloaded into it.
// SPDX-License-Identifier: Apache-2.0
import CLinux

/// The header and program headers of an ELF file (elf(5)), read from its first bytes.
struct ELFHeader {
  private let bytes: [UInt8]
  private let path: String

  /// - Parameter bytes: the start of the file; begins with ELF's magic number.
  init(_ bytes: [UInt8], path: String) {
    self.bytes = bytes
    self.path = path
  }

  /// - Throws: the ``ProgramError`` that says why a library for x86-64 and glibc can't be preloaded into the file.
  func check() throws(ProgramError) {
    guard bytes.count >= 64 else { throw .isDamaged(path) }
    // The machine's field lies in the same place in all classes, in the file's byte order.
    let isBigEndian = bytes[Int(EI_DATA)] == UInt8(ELFDATA2MSB)
    let machine = integer(18, as: UInt16.self)
    let orderedMachine = isBigEndian ? machine.byteSwapped : machine
    let known = [EM_X86_64, EM_386].contains(Int32(orderedMachine))
    if !known { throw .otherArchitecture(path, machine: orderedMachine) }
    if bytes[Int(EI_CLASS)] == UInt8(ELFCLASS32) { throw .is32Bit(path) }
    guard bytes[Int(EI_CLASS)] == UInt8(ELFCLASS64), !isBigEndian, Int32(orderedMachine) == EM_X86_64 else {
      throw .isDamaged(path)
    }
    let type = integer(16, as: UInt16.self)
    let entry = integer(24, as: UInt64.self)
    guard let headers = programHeaders() else { throw .isDamaged(path) }
    guard let interpreter = headers.first(where: { $0.type == UInt32(PT_INTERP) }) else {
      if Int32(type) == ET_EXEC { throw .isStatic(path) }
      throw entry == 0 ? .isLibrary(path) : .isStaticPIE(path)
    }
    // A loader's path further inside the file than was read is left to the kernel.
    guard let loader = string(interpreter.offset, size: interpreter.size) else { return }
    guard loader.split(separator: "/").last?.hasPrefix("ld-linux") == true else {
      throw .otherLoader(path, loader: loader)
    }
  }

  private func programHeaders() -> [(type: UInt32, offset: UInt64, size: UInt64)]? {
    let start = integer(32, as: UInt64.self)
    let size = UInt64(integer(54, as: UInt16.self))
    let count = UInt64(integer(56, as: UInt16.self))
    guard count > 0, size >= 56, start <= UInt64(bytes.count), count * size <= UInt64(bytes.count) - start else { return nil }
    return (0..<count).map { index in
      let header = Int(start + index * size)
      return (
        integer(header, as: UInt32.self), integer(header + 8, as: UInt64.self), integer(header + 32, as: UInt64.self)
      )
    }
  }

  private func string(_ offset: UInt64, size: UInt64) -> String? {
    guard size > 0, size <= 4096, offset <= UInt64(bytes.count), size <= UInt64(bytes.count) - offset else { return nil }
    return String(decoding: bytes[Int(offset)..<Int(offset + size)].prefix { $0 != 0 }, as: UTF8.self)
  }

  private func integer<T: FixedWidthInteger>(_ offset: Int, as type: T.Type) -> T {
    bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
  }
}
