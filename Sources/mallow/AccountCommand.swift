// mallow account TARGET
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ArgumentParser
import Glibc
import Heaps
import ProcessImage
import Reports

struct AccountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "account",
    abstract: "Accounts for every resident byte of a process.",
    discussion: """
      Every resident page is in one row, and the rows add up to the kernel's own figure (VmRSS). Any running process will do, \
      and core files, of which what they hold counts. The process is stopped while its pages are counted and a copy of it is \
      forked, some milliseconds for each 100 MiB.
      """)

  @Argument(help: "The process id, or a core file.")
  var target: TargetArgument

  @Flag(help: "Show each row in a line of its own.")
  var all = false

  @OptionGroup var report: ReportOptions

  func run() throws {
    let summary = try Terminal(STDERR_FILENO).showing("Accounting for the memory of \(target)") { try Self.summary(of: target) }
    try report.write(
      to: STDOUT_FILENO, text: { TextReport.account(summary, style: $0, showsAll: all) }, json: { try JSONReport.account(summary) })
  }

  private static func summary(of target: TargetArgument) throws -> AccountSummary {
    let measured = try MeasuredTarget(target)
    let heap = measured.heap
    let account = Account(
      resident: measured.resident, pages: measured.residency.residentRanges, areas: AccountArea.areas(of: measured.space, owners: measured.owners),
      heaps: measured.occupancy.map { [("heap of \(heap.allocator == .mallow ? "Mallow" : "glibc")", heap.heapRanges, $0)] } ?? [])
    return AccountSummary(
      target: measured.target, account: account, outside: measured.outside, heap: measured.occupancy, source: measured.residency.source,
      pauseMilliseconds: measured.pauseMilliseconds, diagnoses: heap.diagnoses, furtherDiagnoses: heap.furtherDiagnoses,
      notes: measured.notes + (measured.heapProblem.map { [$0] } ?? []))
  }
}
