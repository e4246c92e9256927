// Reads an ordinary file that may shrink meanwhile: by system calls, since a mapping of it would end the reader then.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// An open file.
final class FileContents {
  let descriptor: Int32
  /// When it was opened, in bytes.
  let size: UInt64
  let inode: UInt64
  let device: UInt64
  /// When its contents last changed, in nanoseconds since 1970.
  let modified: Int64

  /// Opens an ordinary file; nil with `errno`, which is 0 where it is something else. A device or a pipe may block or have effects when read.
  convenience init?(path: String) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    self.init(owning: descriptor)
  }

  /// - Parameter descriptor: closed with this object, and also where that can't be made.
  init?(owning descriptor: Int32) {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      errno = 0
      return nil
    }
    self.descriptor = descriptor
    size = UInt64(max(0, status.st_size))
    inode = UInt64(status.st_ino)
    device = UInt64(status.st_dev)
    modified = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
  }

  deinit { close(descriptor) }

  /// Reads from an offset. Returns the number of bytes read, fewer than asked at the end of the file.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard let base = buffer.baseAddress else { return 0 }
    var done = 0
    while done < buffer.count {
      guard let position = off_t(exactly: offset &+ UInt64(done)), position >= 0 else { break }
      let count = pread(descriptor, base + done, buffer.count - done, position)
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { break }
      done += count
    }
    return done
  }

  /// Reads `count` bytes, or as many as there are.
  func bytes(at offset: UInt64, count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
    }
  }

  /// The parts of a range of the file that are stored; the others, its holes, read as zeros. In order.
  func storedRanges(in range: Range<UInt64>) -> [Range<UInt64>] {
    var result: [Range<UInt64>] = []
    var position = range.lowerBound
    while position < range.upperBound {
      guard let from = off_t(exactly: position) else { break }
      let data = lseek(descriptor, from, Int32(MALLOW_SEEK_DATA))
      if data < 0 {
        // ENXIO: nothing more is stored.
        if errno != ENXIO { result.append(position..<range.upperBound) }
        break
      }
      let start = max(position, UInt64(data))
      guard start < range.upperBound else { break }
      let hole = lseek(descriptor, data, Int32(MALLOW_SEEK_HOLE))
      let end = hole < 0 ? range.upperBound : min(range.upperBound, UInt64(hole))
      guard end > start else { break }
      result.append(start..<end)
      position = end
    }
    return result
  }
}

extension Array where Element == UInt8 {
  /// The little-endian integer at an offset, or nil where the bytes end before.
  func integer<T: FixedWidthInteger>(_ offset: Int, as type: T.Type = T.self) -> T? {
    guard offset >= 0, offset <= count - MemoryLayout<T>.size else { return nil }
    return withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
  }

  /// The text from an offset to a zero byte, at most `limit` bytes of it.
  func text(_ offset: Int, limit: Int) -> String {
    guard offset >= 0, offset < count else { return "" }
    return String(decoding: self[offset..<Swift.min(count, offset + limit)].prefix { $0 != 0 }, as: UTF8.self)
  }
}
