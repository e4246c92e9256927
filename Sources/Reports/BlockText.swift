// The report of `mallow heap --address` in text.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage

struct BlockText {
  let summary: BlockSummary
  let style: Style
  /// Pointers shown.
  private static let limit = 20

  var lines: [String] {
    let target = summary.target
    var lines = style.title(target.name, target.processID > 0 ? "process \(target.processID)" : "core file")
    guard let block = summary.block else {
      return lines + style.section("Block", "none: \(summary.address) lies in no block of the heap".wrapped(style.width - 9)) + notes
    }
    let offset = summary.address - block.start
    let place = offset == 0 ? "" : "; \(summary.address) lies \(countText(offset, "byte")) into it"
    let requested = block.requested.map { ", \(countText($0, "byte")) requested" } ?? ""
    lines += style.section("Block", "\(block.start) to \(block.end), \(countText(block.size, "byte"))\(requested)\(place)".wrapped(style.width - 9))
    lines += [style.section("State", block.state.rawValue)]
    if let type = summary.type { lines += style.section("Type", type.printable.wrapped(style.width - 9)) }
    if let stack = summary.stack?.shown(12), !stack.isEmpty {
      let layout = StackText([stack], width: style.width - 9, style: style)
      lines += style.section("Site", stack.map(layout.line))
    }
    if block.state == .live { lines += style.section("Held by", holders) }
    return lines + notes
  }

  private var holders: [String] {
    if summary.referrerCount == 0 { return ["nothing: it is lost"] }
    var lines = summary.referrers.prefix(Self.limit).map { referrer in
      let into = referrer.offset > 0 ? ", \(countText(referrer.offset, "byte")) into it" : ""
      let place = referrer.address.map { $0.description.padded(16) } ?? String(repeating: " ", count: 16)
      let name: String
      if let block = referrer.block {
        let separator = referrer.name.hasPrefix("+") || referrer.name.hasPrefix("[") ? "" : "."
        name = (referrer.type ?? "block \(block)") + separator + referrer.name
      } else {
        name = referrer.name
      }
      return "\(place) \(name)\(into)".printable.shortened(style.width - 9)
    }
    if summary.referrerCount > lines.count {
      lines.append(style.paint("… and \(countText(summary.referrerCount - lines.count, "more pointer"))", .faint))
    }
    return lines
  }

  private var notes: [String] {
    let lines = style.remarks([], further: 0, summary.notes)
    return lines.isEmpty ? [] : [""] + lines.dropLast()
  }
}
