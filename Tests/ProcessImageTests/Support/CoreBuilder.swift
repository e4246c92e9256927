// Puts core files together byte by byte.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Foundation

@testable import ProcessImage

/// A core file as a test wants it.
struct CoreBuilder {
  struct Segment {
    var start: UInt64
    var memorySize: UInt64
    var contents: [UInt8] = []
    var flags = UInt32(PF_R | PF_W)
  }

  var segments: [Segment] = []
  var notes: [UInt8] = []
  var type = UInt16(ET_CORE)
  var machine = UInt16(EM_X86_64)
  var fileClass = UInt8(ELFCLASS64)
  /// Says that there are so many program headers; nil for the truth.
  var countedHeaders: UInt16?
  /// Puts the number of program headers into a section header.
  var usesLongCount = false

  mutating func addNote(_ owner: String, _ type: Int32, _ contents: [UInt8]) {
    let name = Array(owner.utf8) + [0]
    notes += little(UInt32(name.count)) + little(UInt32(contents.count)) + little(type) + padded(name) + padded(contents)
  }

  mutating func addThread(_ thread: Int32, stack: UInt64, signal: Int16 = 0, extended: [UInt8] = []) {
    var registers = user_regs_struct()
    registers.rsp = stack
    registers.rip = 0x401000
    registers.fs_base = 0x7000
    registers.rbx = 0x1122_3344
    var status = [UInt8](repeating: 0, count: 112)
    status.replaceSubrange(12..<14, with: little(signal))
    status.replaceSubrange(32..<36, with: little(thread))
    status += withUnsafeBytes(of: registers) { Array($0) } + [UInt8](repeating: 0, count: 8)
    addNote("CORE", NT_PRSTATUS, status)
    if !extended.isEmpty { addNote("LINUX", Int32(NT_X86_XSTATE), extended) }
  }

  mutating func addProgram(_ process: Int32, name: String) {
    var information = [UInt8](repeating: 0, count: 136)
    information.replaceSubrange(24..<28, with: little(process))
    information.replaceSubrange(40..<40 + name.utf8.count, with: Array(name.utf8))
    addNote("CORE", NT_PRPSINFO, information)
  }

  mutating func addAuxiliaryVector(_ values: [(UInt64, UInt64)]) {
    addNote("CORE", NT_AUXV, (values + [(0, 0)]).flatMap { little($0.0) + little($0.1) })
  }

  /// Offsets are in pages.
  mutating func addFiles(_ files: [(start: UInt64, end: UInt64, page: UInt64, name: String)]) {
    var table = little(UInt64(files.count)) + little(UInt64(4096))
    for file in files { table += little(file.start) + little(file.end) + little(file.page) }
    for file in files { table += Array(file.name.utf8) + [0] }
    addNote("CORE", Int32(NT_FILE), table)
  }

  var bytes: [UInt8] {
    let count = segments.count + 1
    let table = 64 + (usesLongCount ? 64 : 0)
    var offset = (table + count * 56 + notes.count + 4095) & ~4095
    var result: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, fileClass, 1, 1] + [UInt8](repeating: 0, count: 9)
    result += little(type) + little(machine) + little(UInt32(1)) + little(UInt64(0)) + little(UInt64(table))
    result += little(UInt64(usesLongCount ? 64 : 0)) + little(UInt32(0)) + little(UInt16(64)) + little(UInt16(56))
    result += little(usesLongCount ? 0xffff : countedHeaders ?? UInt16(count)) + [UInt8](repeating: 0, count: 6)
    if usesLongCount {
      result += [UInt8](repeating: 0, count: 44) + little(UInt32(count)) + [UInt8](repeating: 0, count: 16)
    }
    result += little(UInt32(PT_NOTE)) + little(UInt32(0)) + little(UInt64(table + count * 56))
    result += little(UInt64(0)) + little(UInt64(0)) + little(UInt64(notes.count)) + little(UInt64(0)) + little(UInt64(4))
    for segment in segments {
      result += little(UInt32(PT_LOAD)) + little(segment.flags) + little(UInt64(offset)) + little(segment.start) + little(UInt64(0))
      result += little(UInt64(segment.contents.count)) + little(segment.memorySize) + little(UInt64(4096))
      offset += (segment.contents.count + 4095) & ~4095
    }
    result += notes
    for segment in segments {
      result += [UInt8](repeating: 0, count: -result.count & 4095)
      result += segment.contents
    }
    return result + [UInt8](repeating: 0, count: -result.count & 4095)
  }

  private func padded(_ bytes: [UInt8]) -> [UInt8] { bytes + [UInt8](repeating: 0, count: -bytes.count & 3) }
}

func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
