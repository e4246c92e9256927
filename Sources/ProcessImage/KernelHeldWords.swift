// Words that a program gave to the kernel, perhaps without keeping them itself: the only pointer to a block may be among them.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A word that the kernel holds for a program and gives back with an event.
public struct KernelHeldWord: Hashable, Sendable {
  public enum Holder: String, Hashable, Sendable, CaseIterable {
    /// `epoll_event.data` of a watched descriptor (epoll_ctl(2)).
    case epoll
    /// `sigev_value` of a POSIX timer (timer_create(2)).
    case timer
    /// `user_data` of a request that io_uring has queued or completed (io_uring_enter(2)).
    case ioUring
  }

  public var holder: Holder
  public var value: UInt64

  public init(_ holder: Holder, _ value: UInt64) {
    self.holder = holder
    self.value = value
  }
}

extension KernelHeldWord {
  /// All that the kernel tells of a process: what its epoll and io_uring descriptors and its timers hold.
  /// - Parameter thread: any of its threads.
  static func all(of thread: Int32) -> [KernelHeldWord] {
    var words = timers(ProcFiles.text("/proc/\(thread)/timers") ?? "")
    for descriptor in ProcFiles.descriptors(of: thread) {
      switch ProcFiles.link("/proc/\(thread)/fd/\(descriptor)") {
      case "anon_inode:[eventpoll]": words += epoll(ProcFiles.text("/proc/\(thread)/fdinfo/\(descriptor)") ?? "")
      case "anon_inode:[io_uring]": words += ioUring(ProcFiles.text("/proc/\(thread)/fdinfo/\(descriptor)") ?? "")
      default: break
      }
    }
    return words
  }

  /// From lines such as `tfd:  5 events:  19 data:  55d0c0ffee pos:0 ino:61 sdev:9`, in hexadecimal (proc_pid_fdinfo(5)).
  static func epoll(_ text: String) -> [KernelHeldWord] {
    text.split(separator: "\n").filter { $0.hasPrefix("tfd:") }.compactMap { line in
      word(after: "data:", in: line, radix: 16).map { KernelHeldWord(.epoll, $0) }
    }
  }

  /// From the entries of both rings, `… user_data:94560133`, in decimal (io_uring/fdinfo.c of Linux).
  static func ioUring(_ text: String) -> [KernelHeldWord] {
    text.split(separator: "\n").compactMap { line in
      word(after: "user_data:", in: line, radix: 10).map { KernelHeldWord(.ioUring, $0) }
    }
  }

  /// From lines such as `signal: 60/00007fff86e452a8` (proc_pid_timers(5)).
  static func timers(_ text: String) -> [KernelHeldWord] {
    text.split(separator: "\n").filter { $0.hasPrefix("signal:") }.compactMap { line in
      line.split(separator: "/").last.flatMap { UInt64($0, radix: 16) }.map { KernelHeldWord(.timer, $0) }
    }
  }

  /// The number that follows `key` and blanks.
  private static func word(after key: String, in line: Substring, radix: Int) -> UInt64? {
    let fields = line.split { $0 == " " || $0 == "\t" || $0 == "," }
    for (index, field) in fields.enumerated() where field.hasPrefix(key) {
      let rest = field.dropFirst(key.count)
      if !rest.isEmpty { return UInt64(rest, radix: radix) }
      return index + 1 < fields.count ? UInt64(fields[index + 1], radix: radix) : nil
    }
    return nil
  }
}

extension ProcFiles {
  /// The numbers of a process's open descriptors; empty where they may not be seen.
  fileprivate static func descriptors(of thread: Int32) -> [Int32] {
    guard let directory = opendir("/proc/\(thread)/fd") else { return [] }
    defer { closedir(directory) }
    var result: [Int32] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if let descriptor = Int32(name) { result.append(descriptor) }
    }
    return result
  }
}
