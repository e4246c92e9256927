// Why a file can't be read as a core file.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A file that can't be read as a core file. Its description is one plain sentence.
public enum CoreError: Error, Equatable, CustomStringConvertible {
  case notFound(String)
  case isDirectory(String)
  /// A pipe, a socket or a device.
  case notRegular(String)
  /// The system refuses it.
  case unreadable(String, code: Int32)
  case isEmpty(String)
  case notCore(String)
  /// An ELF file of another kind: an executable or library.
  case isProgram(String)
  /// An ELF file of another kind: an object file.
  case isObjectFile(String)
  case is32Bit(String)
  case otherArchitecture(String, machine: UInt16)
  /// Compressed by a program that is not supported.
  case isCompressed(String, format: String)
  case notDecompressed(String, reason: String)
  /// Nothing of it can be used.
  case isDamaged(String, reason: String)

  public var description: String {
    switch self {
    case .notFound(let path): "There is no process or file \(path)."
    case .isDirectory(let path): "\(path) is a directory: name a core file in it."
    case .notRegular(let path): "\(path) is neither a process id nor an ordinary file."
    case .unreadable(let path, let code): "\(path) can't be read: \(String(cString: strerror(code)))."
    case .isEmpty(let path): "\(path) is empty: the core was not written, perhaps for want of space."
    case .notCore(let path): "\(path) is not a core file."
    case .isProgram(let path): "\(path) is a program or library where a core file or a process id is wanted."
    case .isObjectFile(let path): "\(path) is an object file where a core file or a process id is wanted."
    case .is32Bit(let path): "\(path) is the core of a 32-bit program; only 64-bit ones can be examined."
    case .otherArchitecture(let path, let machine):
      "\(path) is the core of a program for another processor (ELF machine \(machine)); only x86-64 can be examined."
    case .isCompressed(let path, let format): "\(path) is compressed with \(format): decompress it first."
    case .notDecompressed(let path, let reason): "\(path) can't be decompressed: \(reason)."
    case .isDamaged(let path, let reason): "\(path) is damaged: \(reason)."
    }
  }
}
