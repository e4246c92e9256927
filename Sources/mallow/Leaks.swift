// mallow leaks TARGET
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ArgumentParser
import ProcessImage

struct Leaks: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists memory of a running process that nothing in it can reach any more.",
    discussion: "The process is stopped only while a copy of it is forked, and runs on while the copy is searched.")

  @Argument(help: "The process id.")
  var target: Int32

  func run() throws {
    let snapshot = try Snapshot.take(of: target)
    defer { snapshot.close() }
    let inspection = try Inspection(snapshot)
    let report = inspection.leaks(suppressions: Suppressions())
    print(report.leaks, snapshot.pauseMilliseconds, snapshot.method)
    for group in report.groups { print(group.kind, group.count, group.type ?? "", group.cycle ?? "", group.cycles ?? 0, group.addresses.count); for f in group.stack ?? [] { print("    ", f.function, f.file ?? "", f.line ?? 0, f.module, f.inlined) } }
    print(inspection.heap.statistics, inspection.heap.diagnoses)
  }
}
