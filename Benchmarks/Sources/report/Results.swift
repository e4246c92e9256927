// What the suite measured, read from the lines that it wrote: words separated by tabs, of which the first says what the line is.
// SPDX-License-Identifier: Apache-2.0

/// The three figures of a run: seconds, seconds, bytes.
enum Figure: String, CaseIterable {
  case wall, cpu, peak
}

/// One run of a benchmark on an allocator.
struct Run: Codable {
  var part, benchmark, allocator: String
  var round: Int
  var wall, cpu, peak: Double

  subscript(figure: Figure) -> Double {
    switch figure {
    case .wall: wall
    case .cpu: cpu
    case .peak: peak
    }
  }
}

struct Failure: Codable {
  var part, benchmark, allocator: String
  var round: Int
  var reason: String
}

/// A figure of another part, for example (of give-back, in the group "scattered") the resident MiB after the step "all freed".
struct Value: Codable {
  var part, group, row, allocator: String
  var value: Double
}

struct Named: Codable {
  var name, value: String
}

struct Results: Codable {
  var facts: [Named] = []
  var allocators: [Named] = []
  var runs: [Run] = []
  var failures: [Failure] = []
  var values: [Value] = []

  /// Lines that it does not understand are left out: the last one of a suite that was interrupted may be incomplete.
  init(lines: String) {
    for line in lines.split(separator: "\n") {
      let words = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      func number(_ index: Int) -> Double { Double(words[index]) ?? .nan }
      switch (words[0], words.count) {
      case ("fact", 3): facts.append(Named(name: words[1], value: words[2]))
      case ("allocator", 3): allocators.append(Named(name: words[1], value: words[2]))
      case ("run", 8):
        let run = Run(
          part: words[1], benchmark: words[2], allocator: words[3], round: Int(words[4]) ?? 0, wall: number(5), cpu: number(6),
          peak: number(7))
        if (run.wall + run.cpu + run.peak).isFinite { runs.append(run) }
      case ("failed", 6):
        failures.append(
          Failure(part: words[1], benchmark: words[2], allocator: words[3], round: Int(words[4]) ?? 0, reason: words[5]))
      case ("score", 6): add("score", "", "\(words[1]), \(words[2])", words[3], number(5))
      case ("scaling", 6): add("scaling", "", words[1], words[2], 2 * number(4) / number(5))
      case ("instructions", 4): add("instructions", "", words[1], words[2], number(3))
      case ("give-back", 5): add("give-back", words[1], words[2], words[3], number(4))
      case ("idle", 4): add("idle", "", "private memory", words[1], number(3))
      case ("leaks", 5): add("leaks-" + words[1], "", words[2], words[3], number(4))
      case ("internal", 6):
        add("internal", words[1], words[2], words[3], number(4))
        add("worst", words[1], words[2], words[3], number(5))
      default: continue
      }
    }
  }

  private mutating func add(_ part: String, _ group: String, _ row: String, _ allocator: String, _ value: Double) {
    if value.isFinite { values.append(Value(part: part, group: group, row: row, allocator: allocator, value: value)) }
  }
}
