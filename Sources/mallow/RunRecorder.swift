// Looks at a program's memory in the moment before it is gone, and keeps what the report says of it.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Glibc
import Heaps
import ProcessImage
import Symbols

struct RunRecorder {
  let searchesLeaks: Bool
  let suppressions: Suppressions
  private let files = SymbolFiles()
  private var main: RunSummary?
  private var children: [RunSummary] = []

  init(searchesLeaks: Bool, suppressions: Suppressions) {
    self.searchesLeaks = searchesLeaks
    self.suppressions = suppressions
  }

  /// Called while the process stands at its end.
  mutating func record(_ process: ExitingProcess) {
    let name = process.executable.split(separator: "/").last ?? "the program"
    let summary = Terminal(STDERR_FILENO).showing("Looking at the memory of \(name)") { self.summary(of: process) }
    if process.isMainProgram { main = summary } else { children.append(summary) }
  }

  private func summary(of process: ExitingProcess) -> RunSummary {
    var summary = RunSummary(
      target: Target(processID: process.processID, executable: process.executable, allocator: .mallow), exit: exit(process.end),
      wallSeconds: 0, peakResident: process.peakResidentBytes, resident: process.residentBytes)
    do {
      let inspection = try Inspection(process, files: files)
      guard inspection.heap.allocator == .mallow else {
        throw Failure("It did not run on Mallow's allocator, so its heap could not be looked at.")
      }
      summary.heap = inspection.heap.statistics
      summary.profile = inspection.heap.profile
      summary.sampleInterval = inspection.heap.sampleInterval
      summary.diagnoses = inspection.heap.diagnoses
      summary.furtherDiagnoses = inspection.heap.furtherDiagnoses
      summary.sites = Sites(inspection.heap.stacks, symbolizer: inspection)
      if searchesLeaks { summary.leaks = inspection.leaks(suppressions: suppressions) }
    } catch {
      summary.target.allocator = .unknown
      summary.notes.append("\(error)")
    }
    return summary
  }

  private func exit(_ end: ProgramEnd) -> RunSummary.Exit {
    switch end {
    case .exited(let code): .code(code)
    case .killed(let signal, _): .signal(signal)
    }
  }

  /// What the report is about: the program itself, and the processes that it started, those with most memory first.
  func summaries(_ outcome: TracedProgram.Outcome, program: ProgramFile) -> (RunSummary, [RunSummary]) {
    var summary =
      main
      ?? RunSummary(
        target: Target(processID: 0, executable: program.binary, allocator: .unknown), exit: exit(outcome.end), wallSeconds: 0,
        notes: ["It was killed before its memory could be looked at."])
    // Under the name it was started by: the file may be called otherwise.
    if sameFile(program.path, summary.target.executable), let name = program.path.split(separator: "/").last {
      summary.target.name = String(name)
    }
    summary.exit = exit(outcome.end)
    summary.wallSeconds = outcome.wallSeconds
    if outcome.peakResidentBytes > 0 { summary.peakResident = outcome.peakResidentBytes }
    return (summary, children.sorted { ($0.peakResident ?? 0) > ($1.peakResident ?? 0) })
  }
}

private func sameFile(_ a: String, _ b: String) -> Bool {
  var first = stat()
  var second = stat()
  return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev && first.st_ino == second.st_ino
}
