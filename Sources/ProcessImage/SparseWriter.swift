// Writes a file without storing its pages of zeros.
// SPDX-License-Identifier: Apache-2.0
import Glibc

enum SparseWriter {
  private static let unit = 4096

  /// Writes bytes at an offset of a new file, except for whole pages of zeros. Returns `errno` where that fails, else nil.
  static func write(_ bytes: UnsafeRawBufferPointer, to file: Int32, at offset: UInt64) -> Int32? {
    var position = 0
    while position < bytes.count {
      // Pages of the file, not of the buffer.
      var end = position
      while end < bytes.count, !isZero(page(at: end, bytes, offset)) { end = page(at: end, bytes, offset).endIndex }
      if end > position, let code = writeAll(UnsafeRawBufferPointer(rebasing: bytes[position..<end]), to: file, at: offset + UInt64(position)) {
        return code
      }
      position = end
      while position < bytes.count, isZero(page(at: position, bytes, offset)) { position = page(at: position, bytes, offset).endIndex }
    }
    return nil
  }

  /// From a position to the end of its page in the file.
  private static func page(at position: Int, _ bytes: UnsafeRawBufferPointer, _ offset: UInt64) -> Slice<UnsafeRawBufferPointer> {
    let rest = unit - Int((offset + UInt64(position)) % UInt64(unit))
    return bytes[position..<min(bytes.count, position + rest)]
  }

  private static func isZero(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
    let bytes = UnsafeRawBufferPointer(rebasing: bytes)
    guard let base = bytes.baseAddress, bytes.count > 0 else { return true }
    // Every byte equals the one before, and the first is zero.
    return bytes[0] == 0 && memcmp(base, base + 1, bytes.count - 1) == 0
  }

  static func writeAll(_ bytes: UnsafeRawBufferPointer, to file: Int32, at offset: UInt64) -> Int32? {
    var done = 0
    while done < bytes.count {
      let count = pwrite(file, bytes.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return count < 0 ? errno : ENOSPC }
      done += count
    }
    return nil
  }
}
