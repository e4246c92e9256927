// The list of leaks in text, for every report that has one.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

struct LeakText {
  let report: LeakReport
  let style: Style
  var entryLimit: Int
  var frameLimit: Int

  /// Columns before an entry's title.
  private static let indent = 15
  /// Stacks shown of one entry.
  private static let stackLimit = 2

  /// What sums it up: a line, and another one for what is suppressed.
  var summary: [String] {
    var lines = [style.paint("nothing", .good)]
    if report.leaks.blocks > 0 {
      let counts = [(LeakKind.definite, "definite"), (.cycle, "in cycles"), (.indirect, "indirect")].compactMap { kind, name in
        let blocks = report.count(of: kind).blocks
        return blocks > 0 ? "\(numberText(blocks)) \(name)" : nil
      }
      let kinds = counts.count > 1 ? ": \(counts.joined(separator: ", "))" : ""
      lines = [style.paint("\(byteText(report.leaks.bytes)) in \(countText(report.leaks.blocks, "block"))", .bad) + kinds]
    }
    if report.suppressed.blocks > 0 {
      lines.append("suppressed: \(byteText(report.suppressed.bytes)) in \(countText(report.suppressed.blocks, "block"))")
    }
    return lines
  }

  var lines: [String] {
    let entries = LeakEntry.entries(report)
    let shown = entries.prefix(entryLimit)
    let stacks = shown.flatMap { $0.stacks.prefix(Self.stackLimit).map { $0.frames.shown(frameLimit) } }
    let layout = StackText(stacks, width: style.width - Self.indent - 2, style: style)
    let blank = String(repeating: " ", count: Self.indent)
    var lines: [String] = []
    for entry in shown {
      // A ring is read step by step; other names are told apart by their beginnings and ends.
      let room = style.width - Self.indent
      let title = entry.title.contains(" → ") ? entry.title.printable.wrapped(room) : [entry.title.printable]
      for (number, line) in title.enumerated() {
        let bytes = number == 0 ? byteText(entry.bytes).aligned(Self.indent - 2) + "  " : blank
        lines.append(style.paint(bytes, .bad) + line.shortened(room))
      }
      for (label, frames) in entry.stacks.prefix(Self.stackLimit) {
        if let label { lines.append(blank + label.printable.shortened(style.width - Self.indent - 1) + ":") }
        for frame in frames.shown(frameLimit) { lines.append(blank + "  " + layout.line(frame)) }
      }
    }
    if entries.count > shown.count {
      let rest = entries.dropFirst(shown.count)
      let bytes = rest.reduce(0) { $0 &+ $1.bytes }
      lines.append(blank + style.paint("… and \(countText(rest.count, "more group", "more groups")) (\(byteText(bytes)))", .faint))
    }
    return lines
  }
}
