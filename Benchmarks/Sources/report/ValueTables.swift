// The tables of the other parts.
// SPDX-License-Identifier: Apache-2.0

private struct Kind {
  var part, title, explanation: String
  var decimals: Int
  /// Whether its columns are not the allocators but whatever it was measured of.
  var hasOwnColumns = false
  /// The last row of each group, of all its values.
  var summary: Summary? = nil
}

private struct Summary {
  var name: String
  var value: @Sendable ([Double]) -> Double
}

private let kinds = [
  Kind(
    part: "score", title: "Scores", explanation: "Resident memory over live blocks, after a load whose live size rises and falls",
    decimals: 2),
  Kind(
    part: "scaling", title: "Scaling", explanation: "Throughput of two threads that share nothing, over that of one. 2 is ideal",
    decimals: 2),
  Kind(
    part: "instructions", title: "Instructions",
    explanation:
      "A malloc and its free in a bare loop, slow paths included; of so many bytes, of random ones up to 512, and calloc of 64",
    decimals: 0),
  Kind(
    part: "give-back", title: "Given back",
    explanation: "Resident MiB after each step. Kept blocks are scattered, or in runs. README.md describes the steps", decimals: 0
  ),
  Kind(
    part: "idle", title: "Idle process", explanation: "Private memory of the smallest process, in KiB", decimals: 0),
  Kind(
    part: "leaks-speed", title: "Search for leaks", explanation: "GiB of blocks of each size searched per second of CPU time", decimals: 2,
    hasOwnColumns: true),
  Kind(
    part: "leaks-wall", title: "The same, time", explanation: "Seconds; Valgrind's of a small heap", decimals: 2, hasOwnColumns: true),
  Kind(
    part: "leaks-pause", title: "The same, pause", explanation: "Milliseconds that the program stands still; Valgrind's of a small heap",
    decimals: 0, hasOwnColumns: true),
  Kind(
    part: "leaks-memory", title: "The same, memory", explanation: "Resident MiB of the search at its peak for each GiB of blocks",
    decimals: 0, hasOwnColumns: true),
  Kind(
    part: "internal", title: "Internal fragmentation", explanation: "Percent of all blocks' bytes that nobody asked for",
    decimals: 1, summary: Summary(name: "mean") { $0.reduce(0, +) / Double($0.count) }),
  Kind(
    part: "worst", title: "Worst block", explanation: "The same, of the worst single block of more than 256 bytes", decimals: 1,
    summary: Summary(name: "worst") { $0.reduce(0, max) }),
]

func valueTables(_ results: Results) -> [Table] {
  let allocators = results.allocators.map(\.name)
  return kinds.compactMap { kind in
    let values = results.values.filter { $0.part == kind.part }
    if values.isEmpty { return nil }
    let columns = kind.hasOwnColumns ? values.map(\.allocator).unique : allocators
    func median(_ group: String, _ row: String, _ allocator: String) -> Double? {
      let rounds = values.filter { $0.group == group && $0.row == row && $0.allocator == allocator }.map(\.value)
      return rounds.isEmpty ? nil : rounds.median
    }
    // Relative to glibc, if that was measured.
    let isRelative = kind.part == "idle" && allocators.contains("glibc")
    var table = Table(
      title: kind.title, explanation: kind.explanation + (isRelative ? ", more than on glibc." : "."), allocators: columns)
    for group in values.map(\.group).unique {
      if !group.isEmpty { table.rows.append((group, [])) }
      let rows = values.filter { $0.group == group }.map(\.row).unique
      for row in rows {
        let base = isRelative ? median(group, row, "glibc") ?? 0 : 0
        let cells = columns.map { median(group, row, $0).map { fixed($0 - base, kind.decimals) } ?? "–" }
        table.rows.append(((group.isEmpty ? "" : "  ") + row.replacing("-", with: " ").replacing("_", with: " "), cells))
      }
      if let summary = kind.summary {
        let cells = columns.map { allocator in
          let medians = rows.compactMap { median(group, $0, allocator) }
          return medians.isEmpty ? "–" : fixed(summary.value(medians), kind.decimals)
        }
        table.rows.append(("  " + summary.name, cells))
      }
    }
    return table
  }
}

extension [String] {
  fileprivate var unique: [String] {
    var seen: Set<String> = []
    return filter { seen.insert($0).inserted }
  }
}
