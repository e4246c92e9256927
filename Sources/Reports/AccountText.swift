// The report of `mallow account` in text.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

extension TextReport {
  /// The account of a target's memory.
  /// - Parameter showsAll: whether to list each row; else the small ones of each level are one.
  public static func account(_ summary: AccountSummary, style: Style = Style(), showsAll: Bool = false) -> String {
    AccountText(summary: summary, style: style, showsAll: showsAll).lines.map { $0 + "\n" }.joined()
  }
}

private struct AccountText {
  let summary: AccountSummary
  let style: Style
  let showsAll: Bool
  private static let limit = 5

  var lines: [String] {
    let account = summary.account
    let target = summary.target
    var lines = style.title(target.name, target.processID > 0 ? "process \(target.processID)" : "core file")
    for row in account.rows { lines += self.lines(row, depth: 0) }
    lines.append(style.paint(String(repeating: "─", count: 18), .faint))
    lines.append(line(account.explained, "explained", isHeading: true))
    lines.append(unexplained(account.unexplained))
    lines.append(line(account.resident, summary.source == .contents ? "held by the core file" : "resident", isHeading: true))
    lines += ["", style.paint("Outside the resident memory", .heading)] + outside + [""]
    if let pause = summary.pauseMilliseconds {
      lines += [style.section("Pause", "The process stood still for \(millisecondText(pause))."), ""]
    }
    lines += style.remarks(summary.diagnoses, further: summary.furtherDiagnoses, summary.notes)
    if lines.last == "" { lines.removeLast() }
    return lines
  }

  private func lines(_ row: AccountRow, depth: Int) -> [String] {
    var lines = [line(row.bytes, row.name, blocks: row.blocks, depth: depth, isHeading: depth == 0)]
    // Parts of less than 1% are not worth a line, except those of a heap, which are few; one that is left over is.
    let isLarge = { (part: AccountRow) in part.bytes >= summary.account.resident / 100 || part.blocks != nil || row.blocks != nil }
    var shown = showsAll ? row.rows.count : row.rows.prefix(Self.limit).prefix(while: isLarge).count
    if shown > 0, shown + 1 == row.rows.count { shown += 1 }
    for child in row.rows.prefix(shown) { lines += self.lines(child, depth: depth + 1) }
    let rest = row.rows.dropFirst(shown)
    if shown > 0, !rest.isEmpty {
      lines.append(line(rest.reduce(0) { $0 &+ $1.bytes }, "… and \(numberText(rest.count)) more", depth: depth + 1))
    }
    return lines
  }

  /// Size, share and name in columns, and for blocks how many there are.
  private func line(_ bytes: UInt64, _ name: String, blocks: Int? = nil, depth: Int = 0, isHeading: Bool = false) -> String {
    let share = shareText(bytes, of: summary.account.resident).aligned(5)
    let count = blocks.map { "  " + countText($0, "block") } ?? ""
    let indentation = String(repeating: "  ", count: depth)
    let room = max(12, style.width - 20 - indentation.count - count.count)
    let label = fileName(name).printable.shortened(room)
    return byteText(bytes).aligned(11) + "  " + share + "  " + indentation + (isHeading ? style.paint(label, .heading) : label)
      + style.paint(count, .faint)
  }

  private func unexplained(_ bytes: Int64) -> String {
    guard bytes != 0 else { return "0".aligned(11) + "         unexplained" }
    let text = (bytes < 0 ? "-" : "") + byteText(bytes.magnitude)
    return style.paint(text.aligned(11) + "         unexplained", .bad)
  }

  /// Paths are shown by their last part; names of the kernel and plain words as they are.
  private func fileName(_ name: String) -> String {
    let words = "pointed to by "
    if name.hasPrefix(words) { return words + fileName(String(name.dropFirst(words.count))) }
    guard name.first == "/", !name.hasPrefix("/dev/"), !name.hasPrefix("/memfd:"), !name.hasPrefix("/SYSV") else { return name }
    return name.split(separator: "/").last.map(String.init) ?? name
  }

  private var outside: [String] {
    let costs = summary.outside
    func line(_ bytes: UInt64, _ text: String) -> String { byteText(bytes).aligned(11) + "         " + text.shortened(style.width - 20) }
    var lines: [String] = []
    if let pageTables = costs.pageTables { lines.append(line(pageTables, "page tables")) }
    if let swapped = costs.swapped { lines.append(line(swapped, "swapped out")) }
    if costs.hugePages > 0 { lines.append(line(costs.hugePages, "huge pages set aside")) }
    lines.append(line(costs.mappingRecords, "records of \(countText(costs.mappings, "mapping")), an estimate"))
    if let cache = costs.fileCache { lines.append(line(cache, "cached files, of its whole control group")) }
    return lines
  }
}

/// Milliseconds: `0.4 ms`, `21 ms`, and seconds from one on.
func millisecondText(_ milliseconds: Double) -> String {
  guard milliseconds.isFinite, milliseconds >= 0, milliseconds < 1000 else { return durationText(milliseconds / 1000) }
  if milliseconds >= 9.95 { return "\(Int(milliseconds.rounded())) ms" }
  let tenths = Int((milliseconds * 10).rounded())
  return "\(tenths / 10).\(tenths % 10) ms"
}
