// Benchmarks by allocators: one table for each figure, and what stands out in them.
// SPDX-License-Identifier: Apache-2.0

private let parts = [("programs", "Programs"), ("synthetic", "Synthetic")]

func table(of figure: Figure, _ comparison: Comparison) -> Table? {
  let titles: [Figure: String] = [.wall: "Wall time", .cpu: "CPU time, user and system", .peak: "Peak resident memory"]
  let unit = figure == .peak ? "MiB" : "seconds"
  let reference = comparison.reference
  var table = Table(
    title: titles[figure]!,
    explanation: "\(reference): \(unit); the others: times what \(reference) takes, so less than 1 is better than \(reference).",
    allocators: comparison.allocators)
  for (part, heading) in parts {
    let benchmarks = comparison.benchmarks(of: part)
    if benchmarks.isEmpty { continue }
    table.rows.append((heading, []))
    for benchmark in benchmarks {
      func cell(_ allocator: String, _ ratio: Ratio?, in unit: Double = 1) -> String {
        if comparison.failed(part, benchmark, on: allocator) { return "failed" }
        guard let ratio else { return "–" }
        return short(ratio.value / unit) + (ratio.spread.map { "±" + padded(fixed(min(99, $0 * 100), 0), to: 2) } ?? "")
      }
      let own = cell(reference, comparison.absolute(figure, part, benchmark), in: figure == .peak ? 1_048_576 : 1)
      let others = comparison.peers.map { cell($0, comparison.ratio(figure, part, benchmark, of: $0)) }
      table.rows.append(("  " + benchmark, [own] + others))
    }
    let means = comparison.peers.map { comparison.geometricMean(figure, part, of: $0).map { short($0) } ?? "–" }
    table.rows.append(("  geometric mean", ["1.00"] + means))
  }
  if table.rows.contains(where: { $0.cells.contains { $0.contains("±") } }) {
    table.explanation += " ± half the range of the middle half of the rounds, in %."
    // Ratios without a spread, as means are, stand below ratios.
    table.rows = table.rows.map { row in (row.name, row.cells.map { $0.contains("±") ? $0 : $0 + "   " }) }
  }
  return table.rows.isEmpty ? nil : table
}

/// Where the reference takes more than so many times what the best of some allocators takes.
func exceptions(_ comparison: Comparison) -> [String] {
  let lean = ["mimalloc2", "mimalloc3", "jemalloc", "tcmalloc"].filter(comparison.peers.contains)
  let limits: [(Figure, String, Double, [String], String)] = [
    (.cpu, "CPU time", 1.10, Array(comparison.peers), "the best of the others"),
    (.wall, "wall time", 1.10, Array(comparison.peers), "the best of the others"),
    (.peak, "peak memory", 1.15, lean, "the leanest of " + lean.joined(separator: ", ")),
  ]
  return limits.flatMap { figure, what, limit, among, best in
    parts.flatMap { part, heading -> [String] in
      var worse: [(name: String, times: Double, than: String)] = []
      var compared = 0
      for benchmark in comparison.benchmarks(of: part) {
        let ratios = among.compactMap { peer in comparison.ratio(figure, part, benchmark, of: peer).map { (peer, $0.value) } }
        guard let (peer, least) = ratios.min(by: { $0.1 < $1.1 }), least > 0 else { continue }
        compared += 1
        if 1 / least > limit { worse.append((benchmark, 1 / least, peer)) }
      }
      if compared == 0 { return [] }
      let summary =
        "\(heading): \(comparison.reference)'s \(what) is above \(fixed(limit, 2)) × that of \(best) in \(worse.count) of \(compared)"
        + (worse.isEmpty ? "." : ":")
      return wrapped(summary)
        + worse.sorted { $0.times > $1.times }.map {
          "  " + padded($0.name, to: 20) + padded(short($0.times), to: -6) + " × \($0.than)"
        }
    }
  }
}

/// What is missing from the tables and their means, and why.
func failures(_ results: Results) -> [String] {
  var seen: Set<String> = []
  let lines = results.failures.compactMap { failure -> String? in
    let name = "\(failure.benchmark) on \(failure.allocator)"
    return seen.insert(name).inserted ? "\(name): \(failure.reason)" : nil
  }
  return lines.isEmpty
    ? [] : ["Failed, and left out of the means of that allocator:"] + lines.flatMap { wrapped($0, indentation: "  ") }
}
