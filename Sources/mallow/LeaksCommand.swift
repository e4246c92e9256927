// mallow leaks TARGET
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ArgumentParser
import Glibc
import ProcessImage
import Reports

struct LeaksCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "leaks",
    abstract: "Lists memory of a process, running or in a core file, that nothing in it can reach any more.",
    discussion: """
      The process runs on Mallow's allocator or on glibc's own malloc. It is stopped only while a copy of it is forked, a few milliseconds for \
      each 100 MiB, and runs on while the copy is searched. Exit codes: 0 done, 1 leaks were found and --fail-on leaks was \
      given, 2 the target could not be examined.
      """)

  @Argument(help: "The process id, or the path of a core file.")
  var target: TargetArgument

  @Option(help: ArgumentHelp("Exit with 1 where this is found: leaks.", valueName: "what"))
  var failOn: FailOn?

  @Option(help: ArgumentHelp("Leave out the leaks that a file in LeakSanitizer's syntax names.", valueName: "file"))
  var suppressions: String?

  @OptionGroup var report: ReportOptions

  func run() throws {
    let suppressions = try Suppressions(file: suppressions)
    let terminal = Terminal(STDERR_FILENO)
    let summary = try terminal.showing("Searching \(target) for leaks") {
      let opened = try target.open()
      defer { opened.close() }
      let inspection = try Inspection(opened.image)
      if let failure = inspection.missingHeap { throw failure }
      let leaks = inspection.leaks(suppressions: suppressions)
      try opened.checkIntact()
      return LeaksSummary(
        target: opened.target(inspection.heap.allocator), leaks: leaks, profile: inspection.heap.profile,
        pauseMilliseconds: opened.pauseMilliseconds, diagnoses: inspection.heap.diagnoses,
        furtherDiagnoses: inspection.heap.furtherDiagnoses, notes: inspection.notes + opened.notes)
    }
    try report.write(
      to: STDOUT_FILENO, text: { TextReport.leaks(summary, style: $0) }, json: { try JSONReport.leaks(summary) })
    if failOn == .leaks && summary.leaks.leaks.blocks > 0 { throw ExitCode(1) }
  }
}

/// What makes a command fail.
enum FailOn: String, ExpressibleByArgument, CaseIterable { case leaks }

extension Suppressions {
  /// Reads a file of suppressions; none without a name.
  init(file name: String?) throws {
    guard let name else {
      self.init()
      return
    }
    guard let text = readText(name) else {
      throw Failure("The suppressions file \(name) can't be read: \(String(cString: strerror(errno))).")
    }
    try self.init(parsing: text, name: name)
  }
}

private func readText(_ name: String) -> String? {
  let file = open(name, O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { return nil }
  defer { close(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65536)
  while true {
    let count = read(file, &buffer, buffer.count)
    if count < 0 { return nil }
    if count == 0 { break }
    bytes += buffer.prefix(count)
  }
  return String(decoding: bytes, as: UTF8.self)
}
