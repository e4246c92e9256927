// A table whose columns are allocators, in at most a hundred columns of text.
// SPDX-License-Identifier: Apache-2.0

struct Table {
  var title: String
  /// What a cell is, below the title.
  var explanation: String
  var allocators: [String]
  /// A row without cells is a heading.
  var rows: [(name: String, cells: [String])] = []

  var text: String {
    let widths = allocators.indices.map { column in
      (rows.filter { !$0.cells.isEmpty }.map { $0.cells[column].count } + headings.map { $0[column].count }).max() ?? 0
    }
    let names = rows.map(\.name.count).max() ?? 0
    var lines = [title] + wrapped(explanation)
    func add(_ name: String, _ cells: [String]) {
      lines.append(zip(cells, widths).reduce(padded(name, to: names)) { $0 + "  " + padded($1.0, to: -$1.1) })
    }
    for heading in headings { add("", heading) }
    for row in rows {
      if row.cells.isEmpty { lines.append(row.name) } else { add(row.name, row.cells) }
    }
    return lines.map { $0.trimmingTrailingSpaces }.joined(separator: "\n") + "\n"
  }

  /// Names with a dash take two lines, as do those of eight.
  private var headings: [[String]] {
    let parts = allocators.map { $0.split(separator: "-", maxSplits: 1).map(String.init) }
    let upper = parts.map { $0.count > 1 ? $0[0] : "" }
    let lower = parts.map { $0.last ?? "" }
    return upper.allSatisfy(\.isEmpty) ? [lower] : [upper, lower]
  }
}

/// Spaces behind, or with a negative width in front.
func padded(_ text: String, to width: Int) -> String {
  let spaces = String(repeating: " ", count: max(0, abs(width) - text.count))
  return width < 0 ? spaces + text : text + spaces
}

/// Lines of at most a hundred columns, the later ones indented by two columns more than the first.
func wrapped(_ text: String, indentation: String = "") -> [String] {
  text.split(separator: " ").reduce(into: [String]()) { lines, word in
    if let last = lines.last, last.count + 1 + word.count <= 100 {
      lines[lines.count - 1] += " " + word
    } else {
      lines.append((lines.isEmpty ? indentation : indentation + "  ") + word)
    }
  }
}

/// With so many decimals.
func fixed(_ value: Double, _ decimals: Int) -> String {
  var power = 1
  for _ in 0..<decimals { power *= 10 }
  let scaled = Int((value * Double(power)).rounded())
  let fraction = String(abs(scaled) % power)
  let sign = scaled < 0 ? "-" : ""
  let whole = sign + String(abs(scaled) / power)
  return decimals == 0 ? whole : whole + "." + String(repeating: "0", count: decimals - fraction.count) + fraction
}

/// To about three digits.
func short(_ value: Double) -> String { fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0) }

extension String {
  fileprivate var trimmingTrailingSpaces: String {
    var copy = self
    while copy.last == " " { copy.removeLast() }
    return copy
  }
}
