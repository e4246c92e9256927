// Small readers of /proc: whole files, links, the fields of `status`, thread lists.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Reads a process's files under `/proc`. Everything is read anew at each call.
enum ProcFiles {
  /// The whole of a file, or nil where it can't be read. Kernel text files give at most a page a read, and have no size.
  static func read(_ path: String, limit: Int = 1 << 30) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var result: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16384)
    while result.count < limit {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      if count < 0 { return nil }
      if count == 0 { break }
      result.append(contentsOf: chunk[..<count])
    }
    return result
  }

  static func text(_ path: String) -> String? {
    read(path).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Where a symbolic link points, or nil with `errno`.
  static func link(_ path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
      readlink(path, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
    }
    return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
  }

  /// The ids of all threads of a process, the main thread first; empty when there is no such process.
  static func threads(of process: Int32) -> [Int32] {
    guard let directory = opendir("/proc/\(process)/task") else { return [] }
    defer { closedir(directory) }
    var result: [Int32] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if let thread = Int32(name) { result.append(thread) }
    }
    return result.sorted { ($0 == process ? 0 : 1, $0) < ($1 == process ? 0 : 1, $1) }
  }

  /// A thread's name, as pthread_setname_np(3) set it.
  static func threadName(_ thread: Int32) -> String {
    guard var bytes = read("/proc/\(thread)/comm") else { return "" }
    if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The path of a process's executable, without a ` (deleted)` mark, or nil where there is none or it may not be read.
  static func executable(_ process: Int32) -> String? {
    guard let path = link("/proc/\(process)/exe") else { return nil }
    let mark = " (deleted)"
    return path.hasSuffix(mark) ? String(path.dropLast(mark.count)) : path
  }
}

/// The fields of `/proc/PID/status`.
struct ProcessStatus {
  private let fields: [Substring: Substring]

  /// Nil when there is no such process or thread.
  init?(_ thread: Int32) {
    guard let text = ProcFiles.text("/proc/\(thread)/status") else { return nil }
    var fields: [Substring: Substring] = [:]
    for line in text.split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      fields[line[..<colon]] = line[line.index(after: colon)...].drop { $0 == "\t" || $0 == " " }
    }
    self.fields = fields
  }

  /// A field's text, for instance `S (sleeping)` for `State`.
  subscript(_ field: Substring) -> Substring? { fields[field] }

  /// A field's first number; that of memory fields is in KiB.
  func number(_ field: Substring) -> Int64? {
    fields[field].flatMap { $0.split { $0 == " " || $0 == "\t" }.first }.flatMap { Int64($0) }
  }

  /// The letter of the state: `R`, `S`, `D`, `T`, `t`, `Z` or `X`.
  var state: Character { fields["State"]?.first ?? "?" }
}
