// Reads and writes another process's memory.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The memory of a process, named by one of its living threads: a main thread that has ended no longer leads to it.
struct TargetMemory {
  var thread: Int32

  static let pageSize: UInt64 = 4096

  /// Reads upward from `address`. Returns the number of bytes that were readable before the first unreadable page.
  func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard let base = buffer.baseAddress else { return 0 }
    var done = 0
    while done < buffer.count {
      let from = address + UInt64(done)
      guard from >= address else { break }
      // The kernel transfers whole pages up to the first bad one and then reports what it did; only a bad first page is an error.
      let count = mallow_read_memory(thread, from.rawValue, base + done, buffer.count - done)
      if count > 0 {
        done += count
      } else if count < 0 && errno == EINTR {
        continue
      } else if count < 0 && errno != EFAULT && errno != ESRCH {
        return done + readThroughFile(from, into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
      } else {
        break
      }
    }
    return done
  }

  /// Writes all of `bytes`, or returns false.
  func write(_ address: Address, _ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { mallow_write_memory(thread, address.rawValue, $0.baseAddress, $0.count) == $0.count }
  }

  /// Where process_vm_readv(2) is missing or forbidden.
  private func readThroughFile(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard let offset = off_t(exactly: address.rawValue) else { return 0 }
    let descriptor = open("/proc/\(thread)/mem", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return 0 }
    defer { close(descriptor) }
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, offset + off_t(done))
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { break }
      done += count
    }
    return done
  }
}
