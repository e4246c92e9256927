// The report of `mallow heap` in text.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

struct HeapText {
  let summary: HeapSummary
  let style: Style
  let limit: Int

  /// Columns before a type's name: share, bytes, blocks.
  private static let indent = 40

  var lines: [String] {
    let census = summary.census
    let target = summary.target
    var lines = style.title(target.name, target.processID > 0 ? "process \(target.processID)" : "core file")
    lines += style.section(
      "Heap",
      [
        "\(byteText(census.live.bytes).aligned(12)) live in \(countText(census.live.blocks, "block"))",
        "\(byteText(census.free.bytes).aligned(12)) free in \(countText(census.free.blocks, "block"))",
      ])
    lines.append("")
    lines += types + [""] + classes + [""]
    if summary.sites.count > 0 { lines += sites + [""] }
    lines += style.remarks(summary.diagnoses, further: summary.furtherDiagnoses, summary.notes)
    while lines.last == "" { lines.removeLast() }
    return lines
  }

  private var types: [String] {
    let types = summary.census.types
    let live = summary.census.live.bytes
    let room = style.width - Self.indent
    var lines = [style.section("Types", "share       bytes      blocks  type")]
    for type in types.prefix(limit) {
      let name = type.name.printable.wrapped(room)
      let head =
        shareText(type.count.bytes, of: live).aligned(14) + byteText(type.count.bytes).aligned(12) + numberText(type.count.blocks).aligned(12)
      for (number, line) in name.prefix(3).enumerated() {
        lines.append((number == 0 ? head : "").padded(Self.indent) + line.shortened(room))
      }
    }
    return lines + more(types.count - limit, types.dropFirst(limit).reduce(0) { $0 &+ $1.count.bytes }, "type")
  }

  private var classes: [String] {
    let classes = summary.census.classes.sorted { ($1.liveBytes, $0.size) < ($0.liveBytes, $1.size) }
    var lines = [style.section("Sizes", "share       bytes      blocks        free  bytes a block")]
    for size in classes.prefix(limit / 2) {
      lines.append(
        shareText(size.liveBytes, of: summary.census.live.bytes).aligned(14) + byteText(size.liveBytes).aligned(12)
          + numberText(size.live).aligned(12) + numberText(size.free).aligned(12) + "  " + numberText(size.size))
    }
    return lines + more(classes.count - limit / 2, classes.dropFirst(limit / 2).reduce(0) { $0 &+ $1.liveBytes }, "size")
  }

  private var sites: [String] {
    let kind = summary.profile == .sampled ? ", estimated" : ""
    let text = SiteText(sites: summary.sites, style: style, siteLimit: min(limit, 10), frameLimit: 6)
    return style.section("Sites", ["the largest of \(countText(summary.sites.count, "allocation site"))\(kind)"]) + text.lines
  }

  private func more(_ count: Int, _ bytes: UInt64, _ noun: String) -> [String] {
    guard count > 0 else { return [] }
    let text = "… and \(countText(count, "more " + noun)) (\(byteText(bytes)))"
    return [String(repeating: " ", count: Self.indent) + style.paint(text, .faint)]
  }
}

extension HeapCensus.SizeClass {
  var liveBytes: UInt64 { size &* UInt64(live) }
}
