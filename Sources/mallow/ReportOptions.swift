// What every command takes: the report's format and where it goes.
// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import Reports

enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

struct ReportOptions: ParsableArguments {
  @Option(help: "How to write the report: text or json.")
  var format: Format = .text

  @Option(help: ArgumentHelp("Write the report to a file that only you can read.", valueName: "file"))
  var output: String?

  /// Writes the report.
  /// - Parameters:
  ///   - descriptor: where it goes without `--output`.
  ///   - text: makes the text; called for that format only, as `json` is for the other.
  func write(to descriptor: Int32, text: (Style) -> String, json: () throws -> String) throws {
    let report: String
    switch format {
    case .text: report = text(output == nil ? Terminal(descriptor).style : Style())
    case .json: report = try json()
    }
    guard let output else { return try writeAll(report, to: descriptor, name: "the terminal or pipe") }
    let file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw Failure("\(output) can't be written: \(String(cString: strerror(errno))).") }
    defer { close(file) }
    try writeAll(report, to: file, name: output)
  }

  /// Checks before long work that the file can be written.
  func validate() throws {
    guard let output else { return }
    let exists = access(output, F_OK) == 0
    let folder = output.lastIndex(of: "/").map { String(output[..<$0]) } ?? "."
    if access(exists ? output : folder.isEmpty ? "/" : folder, W_OK) != 0 {
      throw ValidationError("\(output) can't be written: \(String(cString: strerror(errno))).")
    }
  }
}

/// Writes a text to a descriptor. A reader that has gone away is no failure.
private func writeAll(_ text: String, to descriptor: Int32, name: String) throws {
  var rest = Array(text.utf8)[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    if count < 0 {
      if errno == EINTR { continue }
      if errno == EPIPE { return }
      throw Failure("\(name) can't be written: \(String(cString: strerror(errno))).")
    }
    rest = rest.dropFirst(count)
  }
}

/// What a descriptor shows text on.
struct Terminal {
  let isTerminal: Bool
  private let descriptor: Int32

  init(_ descriptor: Int32) {
    self.descriptor = descriptor
    isTerminal = isatty(descriptor) == 1
  }

  /// Coloured and as wide as the terminal; plain and 80 columns wide elsewhere.
  var style: Style {
    guard isTerminal else { return Style() }
    var size = winsize()
    let known = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col >= 40
    let noColor = getenv("NO_COLOR").map { $0[0] != 0 } ?? false
    let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? true
    return Style(width: known ? min(Int(size.ws_col), 120) : 80, isColored: !noColor && !isDumb)
  }

  /// Shows what is being done while `body` runs, on a terminal only.
  func showing<R>(_ activity: String, _ body: () throws -> R) rethrows -> R {
    guard isTerminal else { return try body() }
    put("\(activity)…")
    defer { put("\r\u{1B}[K") }
    return try body()
  }

  /// Shows on a terminal how far something has come while `body`, which says so, runs.
  func showing<R>(_ activity: String, _ body: ((Double) -> Void) throws -> R) rethrows -> R {
    guard isTerminal else { return try body { _ in } }
    var shown = -1
    defer { put("\r\u{1B}[K") }
    return try body { part in
      let percent = Int(part * 100)
      guard percent != shown else { return }
      shown = percent
      put("\r\(activity)… \(percent)%")
    }
  }

  private func put(_ text: String) {
    _ = text.utf8CString.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count - 1) }
  }
}
