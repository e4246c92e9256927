// The memory of a forked copy, read through the kernel's file of it.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// /proc/PID/mem, held open.
///
/// process_vm_readv(2) pins what it reads, for which the kernel gives each page that the copy still shares with the target to the copy alone:
/// the copy would double the target's memory, and half the time would go by with that. Reading this file takes pages as they are.
final class MemoryFile {
  private let thread: Int32
  private let descriptor: Int32

  /// - Parameter thread: a living thread of the process.
  init(thread: Int32) {
    self.thread = thread
    descriptor = open("/proc/\(thread)/mem", O_RDONLY | O_CLOEXEC)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Reads upward from `address`. Returns the number of bytes that were readable before the first unreadable page.
  func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard descriptor >= 0 else { return TargetMemory(thread: thread).read(address, into: buffer) }
    guard let base = buffer.baseAddress, let offset = off_t(exactly: address.rawValue) else { return 0 }
    var done = 0
    while done < buffer.count {
      let (position, overflow) = offset.addingReportingOverflow(off_t(done))
      if overflow { break }
      let count = pread(descriptor, base + done, buffer.count - done, position)
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { break }
      done += count
    }
    return done
  }
}
