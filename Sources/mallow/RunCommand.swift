// mallow run -- PROGRAM [ARGUMENT…]
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ArgumentParser
import Glibc
import Heaps
import ProcessImage
import Reports
import Symbols

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs a program on Mallow's allocator and reports where its memory went and what it leaked.",
    usage: "mallow run [<options>] -- <program> [<argument> ...]",
    discussion: """
      The program's input and output are its own; the report goes to standard error or to --output. The exit code is the \
      program's own, 128 + N where signal N ended it; with --fail-on leaks it is 1 where leaks were found.
      """)

  @Option(help: "Which allocations to record with their stack: off, sampled or full.")
  var profile: ProfileMode = .sampled

  @Option(help: ArgumentHelp("Bytes between samples on average, such as 64K.", valueName: "size"))
  var sampleInterval: Size?

  @Flag(inversion: .prefixedNo, help: "Search for leaks when the program ends.")
  var leaks = true

  @Option(help: ArgumentHelp("Exit with 1 where this is found: leaks.", valueName: "what"))
  var failOn: FailOn?

  @Option(help: ArgumentHelp("Leave out the leaks that a file in LeakSanitizer's syntax names.", valueName: "file"))
  var suppressions: String?

  @Flag(help: "Report on each process that the program starts, too.")
  var followChildren = false

  @OptionGroup var report: ReportOptions

  @Argument(parsing: .postTerminator, help: "The program and its arguments, after --.")
  var command: [String] = []

  func validate() throws {
    if command.isEmpty { throw ValidationError("No program to run: write it after --, as in mallow run -- ls -l.") }
    if failOn == .leaks && !leaks { throw ValidationError("--fail-on leaks needs the search that --no-leaks turns off.") }
  }

  func run() throws {
    let suppressions = try Suppressions(file: suppressions)
    let program = try ProgramFile(finding: command[0], searchPath: getenv("PATH").map { String(cString: $0) })
    let traced = TracedProgram(
      program.path, arguments: command, environment: try environment(), followsChildren: followChildren)
    var recorder = RunRecorder(searchesLeaks: leaks, suppressions: suppressions)
    traced.onExit = { recorder.record($0) }
    let outcome = try traced.run()
    let (summary, children) = recorder.summaries(outcome, program: program)
    try report.write(
      to: STDERR_FILENO, text: { TextReport.run(summary, children: children, style: $0) },
      json: { try JSONReport.run(summary, children: children) })
    throw ExitCode(exitCode(outcome.end, leaked: ([summary] + children).contains { ($0.leaks?.leaks.blocks ?? 0) > 0 }))
  }

  private func exitCode(_ end: ProgramEnd, leaked: Bool) -> Int32 {
    if failOn == .leaks && leaked { return 1 }
    switch end {
    case .exited(let code): return code
    case .killed(let signal, _): return 128 + signal
    }
  }

  /// The program's environment: this one, with the library preloaded first.
  private func environment() throws -> [String] {
    var settings = ["MALLOW_PROFILE": profile.rawValue]
    if let sampleInterval { settings["MALLOW_SAMPLE_INTERVAL"] = "\(sampleInterval.bytes)" }
    let library = try AllocatorLibrary.path()
    var variables: [String] = []
    var preload = library
    var entry = environ
    while let variable = entry.pointee {
      entry += 1
      let text = String(cString: variable)
      let name = String(text.prefix { $0 != "=" })
      if name == "LD_PRELOAD" {
        preload += ":" + text.dropFirst("LD_PRELOAD=".count)
      } else if settings[name] == nil {
        variables.append(text)
      }
    }
    return variables + ["LD_PRELOAD=\(preload)"] + settings.sorted { $0.key < $1.key }.map { "\($0)=\($1)" }
  }
}

enum ProfileMode: String, ExpressibleByArgument, CaseIterable { case off, sampled, full }
