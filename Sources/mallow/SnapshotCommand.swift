// mallow snapshot TARGET -o FILE
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ArgumentParser
import Glibc
import ProcessImage
import Reports

struct SnapshotCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "snapshot",
    abstract: "Writes a core file of a running process, to look at later or elsewhere.",
    discussion: """
      The process is stopped only while a copy of it is forked, and runs on while the copy is written. gdb and every other \
      command open the file; one that is compressed gdb opens after zstd -d. Memory that was never touched is left out, and \
      so is what can be read from the files that the process has mapped. Exit codes: 0 done, 2 the process could not be \
      examined or the file not be written.
      """)

  @Argument(help: "The process id.")
  var target: TargetArgument

  @Option(name: .shortAndLong, help: ArgumentHelp("The core file, which only you can read. One that exists is replaced.", valueName: "file"))
  var output: String

  @Flag(help: "Compress it with zstd.")
  var compress = false

  @Option(help: "How to write the report: text or json.")
  var format: Format = .text

  func run() throws {
    let opened = try target.open()
    defer { opened.close() }
    guard case .snapshot(let snapshot) = opened else { throw Failure("\(target) is a core file already.") }
    let outcome = try Terminal(STDERR_FILENO).showing("Writing \(output)") { progress in
      try CoreWriter.write(snapshot, to: output, compress: compress, progress: progress)
    }
    let unreadable =
      outcome.unreadableBytes > 0 ? ["\(byteText(outcome.unreadableBytes)) of memory could not be read, and are zero in the file."] : []
    let summary = SnapshotSummary(
      target: opened.target(.unknown), file: output, fileSize: outcome.fileSize, isCompressed: compress,
      storedBytes: outcome.storedBytes, mappedBytes: snapshot.mappings.reduce(0) { $0 + $1.size }, threads: snapshot.threads.count,
      pauseMilliseconds: snapshot.pauseMilliseconds, notes: opened.notes + unreadable)
    var report = ReportOptions()
    report.format = format
    report.output = nil
    try report.write(
      to: STDOUT_FILENO, text: { TextReport.snapshot(summary, style: $0) }, json: { try JSONReport.snapshot(summary) })
  }
}
