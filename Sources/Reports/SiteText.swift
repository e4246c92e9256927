// The largest allocation sites in text.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

struct SiteText {
  let sites: Sites
  let style: Style
  var siteLimit: Int
  var frameLimit: Int

  /// Columns before a frame: the share and the bytes.
  private static let indent = 22

  var lines: [String] {
    let entries = self.entries
    let shown = entries.prefix(siteLimit)
    let layout = StackText(shown.map(\.frames), width: style.width - Self.indent, style: style)
    let blank = String(repeating: " ", count: Self.indent)
    var lines: [String] = []
    for entry in shown {
      let share = shareText(entry.bytes, of: sites.live.bytes).aligned(7)
      let head = share + byteText(entry.bytes).aligned(Self.indent - 9) + "  "
      lines.append(head + (entry.frames.first.map(layout.line) ?? "unknown"))
      for frame in entry.frames.dropFirst() { lines.append(blank + layout.line(frame)) }
    }
    let hidden = sites.count - shown.reduce(0) { $0 + $1.sites }
    if hidden > 0 {
      let rest = sites.live.bytes &- min(sites.live.bytes, shown.reduce(0) { $0 &+ $1.bytes })
      lines.append(blank + style.paint("… and \(countText(hidden, "more site", "more sites")) (\(byteText(rest)))", .faint))
    }
    return lines
  }

  /// Sites that look the same at this many frames: one for the reader.
  private struct Entry {
    var frames: [StackFrame]
    var bytes: UInt64
    var sites: Int
  }

  private var entries: [Entry] {
    var positions: [[StackFrame]: Int] = [:]
    var entries: [Entry] = []
    for site in sites.largest {
      let frames = site.stack.shown(frameLimit)
      if let position = positions[frames] {
        entries[position].bytes &+= site.live.bytes
        entries[position].sites += 1
      } else {
        positions[frames] = entries.count
        entries.append(Entry(frames: frames, bytes: site.live.bytes, sites: 1))
      }
    }
    return entries.sorted { $0.bytes > $1.bytes }
  }
}
