// Prints what Benchmarks/run measured as tables: report RESULTS [JSON-FILE]
// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import Glibc

func fail(_ message: String) -> Never {
  let line = message + "\n"
  write(2, line, line.utf8.count)
  exit(1)
}

let files = CommandLine.arguments.dropFirst()
guard let input = files.first, let data = FileManager.default.contents(atPath: input) else {
  fail("usage: report RESULTS [JSON-FILE], where RESULTS is a file that Benchmarks/run wrote")
}
let results = Results(lines: String(decoding: data, as: UTF8.self))
if results.allocators.isEmpty { fail("\(input) has no results.") }
let comparison = Comparison(results)

func printSection(_ lines: [String]) {
  if !lines.isEmpty { print(lines.joined(separator: "\n") + "\n") }
}

for figure in Figure.allCases {
  if let table = table(of: figure, comparison) { print(table.text) }
}
for table in valueTables(results) { print(table.text) }
printSection(exceptions(comparison))
printSection(failures(results))
printSection(
  results.facts.map { padded($0.name, to: 12) + $0.value }
    + ["Allocators"] + results.allocators.map { "  " + padded($0.name, to: 17) + $0.value })

if files.count > 1, let output = files.last {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
  do {
    try encoder.encode(results).write(to: URL(filePath: output))
  } catch {
    fail("\(output) can't be written: \(error)")
  }
}
