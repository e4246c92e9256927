// What the kernel tells a program at its start (getauxval(3)).
// SPDX-License-Identifier: Apache-2.0
import CLinux

/// The auxiliary vector: pairs of words, the first of which names what the second is. The words of a 32-bit program have four bytes.
public struct AuxiliaryVector: Hashable, Sendable {
  /// Bytes in a word: 8 or 4.
  public let wordSize: Int
  /// By their `AT_` numbers.
  public let values: [UInt64: UInt64]

  public init(values: [UInt64: UInt64], wordSize: Int = 8) {
    self.values = values
    self.wordSize = wordSize
  }

  /// - Parameter bytes: the contents of `/proc/PID/auxv`. Nil where they are no such vector.
  public init?(_ bytes: [UInt8]) {
    // The size of a program header (AT_PHENT) differs between the classes.
    for (wordSize, headerSize) in [(8, UInt64(MemoryLayout<Elf64_Phdr>.size)), (4, UInt64(MemoryLayout<Elf32_Phdr>.size))] {
      var values: [UInt64: UInt64] = [:]
      for offset in stride(from: 0, to: bytes.count - 2 * wordSize + 1, by: 2 * wordSize) {
        let type = Self.word(bytes, offset, wordSize)
        if type == UInt64(AT_NULL) { break }
        values[type] = Self.word(bytes, offset + wordSize, wordSize)
      }
      if values[UInt64(AT_PHENT)] == headerSize {
        self.init(values: values, wordSize: wordSize)
        return
      }
    }
    return nil
  }

  /// The value of an entry such as `AT_PHDR`; nil where the kernel did not give it.
  public subscript(_ type: Int32) -> UInt64? { values[UInt64(type)] }

  /// The program headers of the executable.
  public var programHeaders: Address? { self[AT_PHDR].map { Address($0) } }
  /// Where the program interpreter, the dynamic loader, is loaded.
  public var interpreter: Address? { self[AT_BASE].flatMap { $0 == 0 ? nil : Address($0) } }
  public var entry: Address? { self[AT_ENTRY].map { Address($0) } }
  /// The kernel's library in user space.
  public var vdso: Address? { self[AT_SYSINFO_EHDR].map { Address($0) } }
  /// Strings at the top of the main stack, by which that is recognised.
  public var executableName: Address? { self[AT_EXECFN].map { Address($0) } }
  public var randomBytes: Address? { self[AT_RANDOM].map { Address($0) } }

  private static func word(_ bytes: [UInt8], _ offset: Int, _ size: Int) -> UInt64 {
    bytes.withUnsafeBytes {
      size == 8
        ? UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        : UInt64(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
    }
  }
}
