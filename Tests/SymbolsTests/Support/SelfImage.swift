// The test's own process, or another, as a process image.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import ProcessImage
import Testing

/// Memory and mappings of a process, by `/proc`, without stopping it.
final class SelfImage: ProcessImage {
  let processID: Int32
  let executable = ""
  let mappings: [Mapping]
  let threads: [ThreadState] = []
  private let memory: Int32

  init(processID: Int32 = getpid()) throws {
    self.processID = processID
    memory = open("/proc/\(processID)/mem", O_RDONLY | O_CLOEXEC)
    mappings = try readMappings(processID)
  }

  deinit { close(memory) }

  func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard address.rawValue < 1 << 47 else { return 0 }
    return max(0, pread(memory, buffer.baseAddress, buffer.count, Int(address.rawValue)))
  }
}

func readMappings(_ processID: Int32) throws -> [Mapping] {
  // A file handle, since a file that says it is empty is not read to its end by `String(contentsOfFile:)`.
  let file = try #require(FileHandle(forReadingAtPath: "/proc/\(processID)/maps"))
  let text = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
  return text.split(separator: "\n").map { line in
    let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
    let range = fields[0].split(separator: "-").map { UInt64($0, radix: 16)! }
    var name = fields.count > 5 ? String(fields[5].drop { $0 == " " }) : ""
    let isDeleted = name.hasSuffix(" (deleted)")
    if isDeleted { name.removeLast(" (deleted)".count) }
    return Mapping(
      start: Address(range[0]), end: Address(range[1]), isReadable: fields[1].contains("r"),
      isWritable: fields[1].contains("w"), isExecutable: fields[1].contains("x"), isShared: fields[1].contains("s"),
      fileOffset: UInt64(fields[2], radix: 16)!, device: String(fields[3]), inode: UInt64(fields[4])!, name: name,
      isDeleted: isDeleted)
  }
}
