// Compiles small C programs at test time, runs them, and talks to them through pipes.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

struct TestFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// A folder of its own for the files of one test, removed at the end.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    var template = Array((FileManager.default.temporaryDirectory.path + "/mallow-tests-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw TestFailure("no temporary folder: \(errno)") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o644) throws -> String {
    let file = path + "/" + name
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    guard chmod(file, mode) == 0 else { throw TestFailure("chmod \(file): \(errno)") }
    return file
  }

  /// Compiles C source with `cc`; returns the program's path.
  func compile(_ source: String, _ options: String...) throws -> String {
    let name = "program-\(UUID().uuidString.prefix(8))"
    let input = try file(name + ".c", Array(source.utf8))
    let output = path + "/" + name
    let compiler = try Child(["/usr/bin/cc", "-O1", "-D_GNU_SOURCE", "-pthread", "-o", output, input] + options)
    let messages = compiler.readAll()
    guard compiler.wait() == .exited(0) else { throw TestFailure("cc: \(messages)") }
    return output
  }
}

/// A child process with pipes at its standard input and output.
final class Child {
  enum End: Equatable {
    case exited(Int32)
    case signaled(Int32)
  }

  let process: pid_t
  private let input: Int32
  private let output: Int32
  private var buffered: [UInt8] = []
  private var end: End?
  private static let starting = NSLock()

  init(_ arguments: [String]) throws {
    var toChild: [Int32] = [0, 0]
    var fromChild: [Int32] = [0, 0]
    // Children started by other tests at the same time must not keep the pipes open.
    Self.starting.lock()
    defer { Self.starting.unlock() }
    guard pipe(&toChild) == 0, pipe(&fromChild) == 0 else { throw TestFailure("no pipe: \(errno)") }
    for descriptor in toChild + fromChild { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
    posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
    posix_spawn_file_actions_adddup2(&actions, fromChild[1], 2)
    // The threads that tests run on block most signals.
    var attributes = posix_spawnattr_t()
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_init(&attributes)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var argv = arguments.map { strdup($0) } + [nil]
    defer { argv.forEach { free($0) } }
    var child: pid_t = 0
    let error = posix_spawn(&child, arguments[0], &actions, &attributes, &argv, environ)
    posix_spawnattr_destroy(&attributes)
    posix_spawn_file_actions_destroy(&actions)
    close(toChild[0])
    close(fromChild[1])
    guard error == 0 else { throw TestFailure("\(arguments[0]): \(error)") }
    process = child
    input = toChild[1]
    output = fromChild[0]
  }

  deinit {
    if end == nil {
      kill(process, SIGKILL)
      _ = wait()
    }
    close(input)
    close(output)
  }

  func send(_ signal: Int32) { kill(process, signal) }

  func write(_ text: String) { _ = text.utf8.withContiguousStorageIfAvailable { Glibc.write(input, $0.baseAddress, $0.count) } }

  /// The next line without its end, or nil at the end of the output.
  func readLine() -> String? {
    while true {
      if let end = buffered.firstIndex(of: UInt8(ascii: "\n")) {
        defer { buffered.removeSubrange(...end) }
        return String(decoding: buffered[..<end], as: UTF8.self)
      }
      var chunk = [UInt8](repeating: 0, count: 4096)
      let count = read(output, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return nil }
      buffered += chunk[..<count]
    }
  }

  func expectLine(_ line: String) throws {
    let found = readLine()
    guard found == line else { throw TestFailure("expected \(line), but got \(found ?? "the end")") }
  }

  func readAll() -> String {
    var lines: [String] = []
    while let line = readLine() { lines.append(line) }
    return lines.joined(separator: "\n")
  }

  /// Waits for its end and collects it.
  func wait() -> End {
    if let end { return end }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    let result: End = status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : .signaled(status & 0x7f)
    end = result
    return result
  }

  /// The letter of its state in /proc/PID/stat.
  var state: Character? { stateOf(process) }
}

func stateOf(_ process: pid_t) -> Character? {
  guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
    let end = text.lastIndex(of: ")")
  else { return nil }
  return text[end...].dropFirst(2).first
}

/// The ids of the processes whose parent is `process`.
func children(of process: pid_t) -> [pid_t] {
  let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
  return names.compactMap { pid_t($0) }.filter { child in
    guard let text = try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8), let end = text.lastIndex(of: ")")
    else { return false }
    let fields = text[end...].split(separator: " ")
    return fields.count > 2 && fields[2] == "\(process)"
  }
}

/// Looks until a condition holds; fails after half a minute.
func eventually(_ what: String, _ condition: () throws -> Bool) throws {
  let start = ContinuousClock.now
  while try !condition() {
    guard ContinuousClock.now - start < .seconds(30) else { throw TestFailure("not within 30 s: \(what)") }
    usleep(500)
  }
}
