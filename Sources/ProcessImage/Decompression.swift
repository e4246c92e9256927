// Core files compressed with zstd, as systemd-coredump and `mallow snapshot --compress` write them.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import CZstd
import Glibc

/// How a file is compressed, by its first bytes.
enum Compression: String {
  case zstd, gzip, xz, lz4, bzip2

  init?(magic: [UInt8]) {
    let formats: [([UInt8], Compression)] = [
      ([0x28, 0xb5, 0x2f, 0xfd], .zstd), ([0x1f, 0x8b], .gzip), ([0xfd, 0x37, 0x7a, 0x58, 0x5a], .xz),
      ([0x04, 0x22, 0x4d, 0x18], .lz4), ([0x42, 0x5a, 0x68], .bzip2),
    ]
    guard let format = formats.first(where: { magic.starts(with: $0.0) }) else { return nil }
    self = format.1
  }
}

enum Decompression {
  /// No core is larger. What claims to be would only fill the disk.
  private static let limit: UInt64 = 1 << 42

  /// Decompresses into a file without a name that goes with this process. Pages of zeros take no room in it.
  /// - Returns: the contents, and whether the compressed file is damaged or cut off, so that they are only its beginning.
  static func decompress(_ file: FileContents, path: String) throws(CoreError) -> (FileContents, cutShort: Bool) {
    let target = unnamedFile()
    guard target >= 0 else { throw .notDecompressed(path, reason: "no temporary file: \(String(cString: strerror(errno)))") }
    var (size, cutShort, code): (UInt64, Bool, Int32) = (0, false, 0)
    do {
      (size, cutShort) = try copy(file, to: target)
      if ftruncate(target, off_t(size)) != 0 { code = errno }
    } catch let problem {
      code = problem.code
    }
    guard code == 0 else {
      close(target)
      throw .notDecompressed(path, reason: "the temporary folder: \(String(cString: strerror(code))); name another by TMPDIR")
    }
    guard let contents = FileContents(owning: target) else { throw .notDecompressed(path, reason: "the temporary file is lost") }
    if size == 0 { throw .notDecompressed(path, reason: "it is damaged or cut off") }
    return (contents, cutShort)
  }

  private struct WriteError: Error {
    let code: Int32
  }

  private static func unnamedFile() -> Int32 {
    let named = getenv("TMPDIR").map { String(cString: $0) }
    // Cores are large, and /tmp may be in memory.
    for folder in [named, "/var/tmp", "/tmp"].compactMap({ $0 }) {
      let descriptor = open(folder, O_RDWR | Int32(MALLOW_O_TMPFILE) | O_CLOEXEC, 0o600)
      if descriptor >= 0 { return descriptor }
    }
    return mallow_memfd_create("mallow core")
  }

  private static func copy(_ file: FileContents, to target: Int32) throws(WriteError) -> (UInt64, cutShort: Bool) {
    guard let context = ZSTD_createDCtx() else { throw WriteError(code: ENOMEM) }
    defer { ZSTD_freeDCtx(context) }
    var input = [UInt8](repeating: 0, count: 1 << 18)
    var output = [UInt8](repeating: 0, count: 1 << 18)
    var position: UInt64 = 0
    var written: UInt64 = 0
    var isFrameOpen = false
    while true {
      let count = input.withUnsafeMutableBytes { file.read(at: position, into: $0) }
      if count == 0 { return (written, isFrameOpen) }
      position += UInt64(count)
      var source = ZSTD_inBuffer(src: nil, size: count, pos: 0)
      while true {
        var room = ZSTD_outBuffer(dst: nil, size: output.count, pos: 0)
        let result = input.withUnsafeBytes { from in
          output.withUnsafeMutableBytes { to in
            source.src = from.baseAddress
            room.dst = to.baseAddress
            return ZSTD_decompressStream(context, &room, &source)
          }
        }
        if ZSTD_isError(result) != 0 { return (written, true) }
        isFrameOpen = result != 0
        if let code = output.withUnsafeBytes({ SparseWriter.write(UnsafeRawBufferPointer(rebasing: $0[..<room.pos]), to: target, at: written) }) {
          throw WriteError(code: code)
        }
        written += UInt64(room.pos)
        if written > limit { return (written, true) }
        if source.pos == source.size && (room.pos < room.size || !isFrameOpen) { break }
      }
    }
  }
}
