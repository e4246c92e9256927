// The processes that a program started, a line each.
// SPDX-License-Identifier: Apache-2.0
import Analyses

struct ChildrenText {
  let children: [RunSummary]
  let style: Style

  private let limit = 20

  var lines: [String] {
    var lines = [style.section("Started", countText(children.count, "process", "processes") + ", by their peak")]
    lines += children.prefix(limit).map { child in
      let name = "\(child.target.name) (\(child.target.processID))".printable
      let peak = child.peakResident.map { byteText($0) } ?? "?"
      return "  " + name.shortened(28).padded(28) + "  " + peak.aligned(10) + "  " + outcome(of: child)
    }
    if children.count > limit { lines.append("  … and \(numberText(children.count - limit)) more") }
    return lines
  }

  private func outcome(of child: RunSummary) -> String {
    guard let leaks = child.leaks?.leaks else { return child.heap == nil ? "not on Mallow's allocator" : "" }
    if leaks.blocks == 0 { return "nothing lost" }
    return style.paint("\(countText(leaks.blocks, "block")) lost, \(byteText(leaks.bytes))", .bad)
  }
}
