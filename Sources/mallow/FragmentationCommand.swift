// mallow fragmentation TARGET
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ArgumentParser
import Glibc
import Heaps
import Reports

struct FragmentationCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fragmentation",
    abstract: "Tells how full the pages of a process's heap are.",
    discussion: """
      Counts the resident memory of the heap, Mallow's or glibc's, by what it is used for, and by size of block. A core file \
      will do too; of such a one what it holds counts.
      """)

  @Argument(help: "The process id, or a core file.")
  var target: TargetArgument

  @OptionGroup var report: ReportOptions

  func run() throws {
    let summary = try Terminal(STDERR_FILENO).showing("Looking at the heap of \(target)") {
      let measured = try MeasuredTarget(target)
      guard let occupancy = measured.occupancy else {
        throw Failure(measured.heapProblem ?? "The heap of \(target) can't be read.")
      }
      return FragmentationSummary(
        target: measured.target, fragmentation: Fragmentation(occupancy), pauseMilliseconds: measured.pauseMilliseconds,
        diagnoses: measured.heap.diagnoses, furtherDiagnoses: measured.heap.furtherDiagnoses, notes: measured.notes)
    }
    try report.write(
      to: STDOUT_FILENO, text: { TextReport.fragmentation(summary, style: $0) }, json: { try JSONReport.fragmentation(summary) })
  }
}
