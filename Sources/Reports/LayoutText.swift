// The report of `mallow layout` on a process or a core file in text.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ProcessImage

struct LayoutText {
  let summary: LayoutSummary
  let style: Style
  /// Whether each region has a line of its own.
  let showsAll: Bool

  private struct Column {
    var heading: String
    var width: Int
    var value: @Sendable (PageCounts) -> UInt64
  }

  var string: String {
    let space = summary.space
    let total = space.total
    let rows = LayoutRow.rows(space, folds: !showsAll)
    let columns = columns(total)
    let addressWidth = max(8, min(16, (rows.last { $0.start.rawValue >> 63 == 0 }?.start.description.utf8.count ?? 0) - 2))
    let head = addressWidth + 1 + 4 + columns.reduce(0) { $0 + 1 + $1.width } + 2
    let room = max(8, style.width - head)

    var text = ByteText(capacity: rows.count * 2 * (style.width + 1))
    for line in style.title(summary.target.name, title) { text.append(line + "\n") }
    var heading = "address".aligned(addressWidth) + " perm"
    for column in columns { heading += " " + column.heading.aligned(column.width) }
    text.append(style.paint(heading, .heading) + "\n")

    var previous: Address?
    for row in rows {
      // The gap to the kernel's half says nothing.
      let isKernels = row.start.rawValue >> 63 != 0
      if let previous, row.start > previous, !isKernels { appendGap(row.start - previous, addressWidth + 5, columns[0].width, &text) }
      if isKernels {
        text.append(String(row.start.rawValue, radix: 16).shortened(addressWidth))
      } else {
        text.append(row.start.rawValue, radix: 16, width: addressWidth)
      }
      text.append(" ")
      text.append(row.permissions?.description ?? "    ")
      append(row.counts, columns, &text)
      text.append("  ")
      text.append(row.label.text(room))
      text.append("\n")
      previous = row.end
    }
    text.blanks(addressWidth + 5)
    append(total, columns, &text)
    text.append("  total\n\n")
    for line in remarks(total, isFolded: rows.count < space.regions.count) { text.append(line + "\n") }
    return text.string
  }

  private var title: String {
    let regions = countText(summary.space.regions.count, "region")
    return (summary.target.processID > 0 ? "process \(summary.target.processID)" : "core file") + ", \(regions)"
  }

  /// Those that hold nothing anywhere are left out.
  private func columns(_ total: PageCounts) -> [Column] {
    var columns = [Column(heading: "size", width: 5) { $0.size }]
    if summary.source != nil { columns.append(Column(heading: "RSS", width: 5) { $0.resident }) }
    if summary.source != nil, summary.source != .contents { columns.append(Column(heading: "dirty", width: 5) { $0.dirty }) }
    if total.swapped > 0 { columns.append(Column(heading: "swap", width: 5) { $0.swapped }) }
    if total.huge > 0 { columns.append(Column(heading: "huge", width: 5) { $0.huge }) }
    if summary.source != nil, summary.source != .contents { columns.append(Column(heading: "untouched", width: 9) { $0.untouched }) }
    return columns
  }

  private func append(_ counts: PageCounts, _ columns: [Column], _ text: inout ByteText) {
    for column in columns {
      text.append(" ")
      text.appendSize(column.value(counts), width: column.width)
    }
  }

  private func appendGap(_ size: UInt64, _ indentation: Int, _ width: Int, _ text: inout ByteText) {
    var line = ByteText()
    line.blanks(indentation + 1)
    line.appendSize(size, width: width)
    line.append("  gap")
    text.append(style.isColored ? style.paint(line.string, .faint) : line.string)
    text.append("\n")
  }

  private func remarks(_ total: PageCounts, isFolded: Bool) -> [String] {
    var notes = summary.notes
    let resident = total.resident
    if let kernel = summary.kernelResident, summary.source != nil {
      notes.insert(
        kernel == resident
          ? "Resident adds up to the kernel's own figure, \(byteText(kernel))."
          : "The kernel's own figure is \(byteText(kernel)), \(byteText(kernel > resident ? kernel - resident : resident - kernel)) "
            + "\(kernel > resident ? "more" : "less") than the sum: the process runs on while it is looked at.", at: 0)
    }
    if isFolded {
      notes.append("Pieces that belong together are one line: --all shows each.")
    }
    return style.section("Note", notes.flatMap { $0.printable.wrapped(style.width - 9) })
  }
}
