// Allocators compared with one of them, the reference: Mallow, or whichever was named first.
// SPDX-License-Identifier: Apache-2.0

/// How many times what the reference takes; and where there were rounds enough to tell, by how much rounds differed.
struct Ratio {
  var value: Double
  var spread: Double?
}

struct Comparison {
  let allocators: [String]
  private let runs: [String: [Run]]
  private let failed: Set<String>
  private let order: [String: [String]]

  var reference: String { allocators[0] }
  var peers: ArraySlice<String> { allocators.dropFirst() }

  init(_ results: Results) {
    allocators = results.allocators.map(\.name)
    runs = Dictionary(grouping: results.runs) { Self.key($0.part, $0.benchmark, $0.allocator) }
    failed = Set(results.failures.map { Self.key($0.part, $0.benchmark, $0.allocator) })
    let named = results.runs.map { ($0.part, $0.benchmark) } + results.failures.map { ($0.part, $0.benchmark) }
    order = named.reduce(into: [:]) { order, name in
      if order[name.0]?.contains(name.1) != true { order[name.0, default: []].append(name.1) }
    }
  }

  private static func key(_ part: String, _ benchmark: String, _ allocator: String) -> String {
    "\(part)\t\(benchmark)\t\(allocator)"
  }

  func benchmarks(of part: String) -> [String] { order[part] ?? [] }

  func failed(_ part: String, _ benchmark: String, on allocator: String) -> Bool {
    failed.contains(Self.key(part, benchmark, allocator))
  }

  /// The rounds of a benchmark on an allocator that failed in none of them.
  private func rounds(_ part: String, _ benchmark: String, on allocator: String) -> [Run] {
    failed(part, benchmark, on: allocator) ? [] : runs[Self.key(part, benchmark, allocator)] ?? []
  }

  /// The reference's own figure.
  func absolute(_ figure: Figure, _ part: String, _ benchmark: String) -> Ratio? {
    rounds(part, benchmark, on: reference).map { $0[figure] }.ratio
  }

  /// The median of the rounds' ratios, of which each compares neighbours in time.
  func ratio(_ figure: Figure, _ part: String, _ benchmark: String, of peer: String) -> Ratio? {
    let own = Dictionary(rounds(part, benchmark, on: reference).map { ($0.round, $0[figure]) }) { first, _ in first }
    return rounds(part, benchmark, on: peer).compactMap { run in
      own[run.round].flatMap { $0 > 0 ? run[figure] / $0 : nil }
    }.ratio
  }

  func geometricMean(_ figure: Figure, _ part: String, of peer: String) -> Double? {
    let ratios = benchmarks(of: part).compactMap { ratio(figure, part, $0, of: peer)?.value }.filter { $0 > 0 }
    return ratios.isEmpty ? nil : ratios.geometricMean
  }
}

extension [Double] {
  fileprivate var ratio: Ratio? { isEmpty ? nil : Ratio(value: median, spread: count < 3 ? nil : spread) }
}
