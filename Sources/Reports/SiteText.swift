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
    let shown = sites.largest.prefix(siteLimit)
    let layout = StackText(shown.map { $0.stack.shown(frameLimit) }, width: style.width - Self.indent, style: style)
    let blank = String(repeating: " ", count: Self.indent)
    var lines: [String] = []
    for site in shown {
      let share = shareText(site.live.bytes, of: sites.live.bytes).aligned(7)
      let head = share + byteText(site.live.bytes).aligned(Self.indent - 9) + "  "
      let frames = site.stack.shown(frameLimit)
      lines.append(head + (frames.first.map(layout.line) ?? "unknown"))
      for frame in frames.dropFirst() { lines.append(blank + layout.line(frame)) }
    }
    if sites.count > shown.count {
      let rest = sites.live.bytes &- min(sites.live.bytes, shown.reduce(0) { $0 &+ $1.live.bytes })
      lines.append(
        blank + style.paint("… and \(countText(sites.count - shown.count, "more site", "more sites")) (\(byteText(rest)))", .faint))
    }
    return lines
  }
}
