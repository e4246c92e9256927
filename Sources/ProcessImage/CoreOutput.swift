// The file that a core is written to: it appears under its name only when it is whole.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import CZstd
import Glibc

/// A new file that only its owner can read. Unless ``finish(size:)`` is reached nothing remains of it.
final class CoreOutput {
  private let path: String
  private let descriptor: Int32
  /// The name that it has until it is whole; nil while it has none.
  private var temporaryName: String?
  private let compressor: Compressor?
  private var position: UInt64 = 0

  /// - Throws: ``CoreWriteError``.
  init(path: String, compress: Bool) throws(CoreWriteError) {
    self.path = path
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG { throw .notRegular(path) }
    let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    var file = open(folder, O_RDWR | Int32(MALLOW_O_TMPFILE) | O_CLOEXEC, 0o600)
    // Not every file system can make a file without a name.
    if file < 0, errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL {
      let name = "\(path).\(getpid()).part"
      file = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
      if file >= 0 { temporaryName = name }
    }
    guard file >= 0 else { throw .notWritten(path, code: errno) }
    descriptor = file
    compressor = compress ? Compressor() : nil
  }

  deinit {
    if let temporaryName { unlink(temporaryName) }
    close(descriptor)
  }

  /// Appends bytes.
  func append(_ bytes: UnsafeRawBufferPointer) throws(CoreWriteError) {
    let code: Int32?
    if let compressor {
      code = compressor.compress(bytes) { [descriptor] in writeNext($0, to: descriptor) }
    } else {
      code = SparseWriter.write(bytes, to: descriptor, at: position)
    }
    if let code { throw .notWritten(path, code: code) }
    position += UInt64(bytes.count)
  }

  func append(_ bytes: [UInt8]) throws(CoreWriteError) {
    // Typed throws do not pass through the closures of the standard library.
    let result = bytes.withUnsafeBytes { bytes in Result<Void, CoreWriteError> { () throws(CoreWriteError) in try append(bytes) } }
    try result.get()
  }

  /// Gives the file its name. Returns its size in bytes.
  func finish() throws(CoreWriteError) -> UInt64 {
    if let compressor {
      if let code = compressor.finish({ [descriptor] in writeNext($0, to: descriptor) }) { throw .notWritten(path, code: code) }
    } else if ftruncate(descriptor, off_t(position)) != 0 {
      throw .notWritten(path, code: errno)
    }
    if temporaryName == nil {
      let name = "\(path).\(getpid()).part"
      guard linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0 else { throw .notWritten(path, code: errno) }
      temporaryName = name
    }
    guard rename(temporaryName, path) == 0 else { throw .notWritten(path, code: errno) }
    temporaryName = nil
    var status = stat()
    return fstat(descriptor, &status) == 0 ? UInt64(status.st_size) : position
  }
}

/// Writes at a file's own position. Returns `errno` where that fails, else nil.
private func writeNext(_ bytes: UnsafeRawBufferPointer, to file: Int32) -> Int32? {
  var done = 0
  while done < bytes.count {
    let count = write(file, bytes.baseAddress! + done, bytes.count - done)
    if count < 0 && errno == EINTR { continue }
    guard count > 0 else { return count < 0 ? errno : ENOSPC }
    done += count
  }
  return nil
}

/// Compresses a stream by zstd.
private final class Compressor {
  private let context = ZSTD_createCCtx()
  private var output = [UInt8](repeating: 0, count: ZSTD_CStreamOutSize())

  init() {
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 3)
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    // Without threads the library refuses this, and does all in one.
    ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, Int32(min(4, sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
  }

  deinit { ZSTD_freeCCtx(context) }

  func compress(_ bytes: UnsafeRawBufferPointer, _ write: (UnsafeRawBufferPointer) -> Int32?) -> Int32? {
    run(bytes, ZSTD_e_continue, write)
  }

  func finish(_ write: (UnsafeRawBufferPointer) -> Int32?) -> Int32? { run(UnsafeRawBufferPointer(start: nil, count: 0), ZSTD_e_end, write) }

  private func run(_ bytes: UnsafeRawBufferPointer, _ directive: ZSTD_EndDirective, _ write: (UnsafeRawBufferPointer) -> Int32?) -> Int32? {
    guard let context else { return ENOMEM }
    var source = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
    while true {
      var (rest, code): (Int, Int32?) = (0, nil)
      output.withUnsafeMutableBytes { buffer in
        var room = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
        rest = ZSTD_compressStream2(context, &room, &source, directive)
        code = ZSTD_isError(rest) != 0 ? ENOMEM : write(UnsafeRawBufferPointer(rebasing: buffer[..<room.pos]))
      }
      if let code { return code }
      if directive == ZSTD_e_end ? rest == 0 : source.pos == source.size { return nil }
    }
  }
}
