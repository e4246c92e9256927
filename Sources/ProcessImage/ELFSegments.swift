// The program headers of an ELF file of any class, read from its first bytes, in memory or in a file.
// SPDX-License-Identifier: Apache-2.0
import CLinux

/// What the loader needs to know of an ELF file (elf(5)): its type and its program headers.
public struct ELFSegments: Sendable {
  public struct Segment: Hashable, Sendable {
    /// `PT_LOAD` and so on.
    public var type: UInt32
    /// `PF_R`, `PF_W`, `PF_X`.
    public var flags: UInt32
    public var fileOffset, address, fileSize, memorySize, alignment: UInt64

    public var isWritable: Bool { flags & UInt32(PF_W) != 0 }
    public var isExecutable: Bool { flags & UInt32(PF_X) != 0 }
  }

  /// `ET_EXEC`, `ET_DYN`, `ET_CORE`.
  public let type: Int32
  public let is64Bit: Bool
  public let segments: [Segment]

  /// - Parameter bytes: the start of a little-endian file, its program headers included. Nil where it is none, or these are cut off.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count >= 52, bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]), bytes[Int(EI_DATA)] == UInt8(ELFDATA2LSB) else { return nil }
    func integer<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> UInt64 {
      bytes.withUnsafeBytes { UInt64(T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self))) }
    }
    is64Bit = bytes[Int(EI_CLASS)] == UInt8(ELFCLASS64)
    guard is64Bit ? bytes.count >= 64 : bytes[Int(EI_CLASS)] == UInt8(ELFCLASS32) else { return nil }
    type = Int32(integer(16, UInt16.self))
    let start = is64Bit ? integer(32, UInt64.self) : integer(28, UInt32.self)
    let size = integer(is64Bit ? 54 : 42, UInt16.self)
    let count = integer(is64Bit ? 56 : 44, UInt16.self)
    guard count > 0, size >= (is64Bit ? 56 : 32), start <= UInt64(bytes.count), count * size <= UInt64(bytes.count) - start else {
      return nil
    }
    let is64Bit = self.is64Bit
    segments = (0..<count).map { index in
      let header = Int(start + index * size)
      func word(_ in64: Int, _ in32: Int) -> UInt64 {
        is64Bit ? integer(header + in64, UInt64.self) : integer(header + in32, UInt32.self)
      }
      return Segment(
        type: UInt32(integer(header, UInt32.self)), flags: UInt32(integer(header + (is64Bit ? 4 : 24), UInt32.self)),
        fileOffset: word(8, 4), address: word(16, 8), fileSize: word(32, 16), memorySize: word(40, 20), alignment: word(48, 28))
    }
  }

  /// The loadable segments whose numbers make sense.
  public var loaded: [Segment] {
    segments.filter {
      $0.type == UInt32(PT_LOAD) && $0.memorySize > 0 && $0.fileSize <= $0.memorySize && $0.memorySize < 1 << 47
        && $0.address < 1 << 63
    }
  }
}
