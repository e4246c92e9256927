// The report of `mallow leaks` in text.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

struct LeaksText {
  let summary: LeaksSummary
  let style: Style
  let limit: Int

  var lines: [String] {
    let report = summary.leaks
    let text = LeakText(report: report, style: style, entryLimit: limit, frameLimit: 12)
    let target = summary.target
    var lines = style.title(target.name, target.processID > 0 ? "process \(target.processID)" : "core file")
    lines += style.section("Lost", text.summary)
    lines += text.lines
    let pause = summary.pauseMilliseconds.map { "; the process stood still for \(durationText($0 / 1000))" } ?? ""
    lines.append(
      style.section("Scanned", "\(byteText(report.scannedBytes)) in \(durationText(report.scannedMilliseconds / 1000))\(pause)"))
    if let also = report.disguises.text { lines += style.section("", "Also followed: \(also)".wrapped(style.width - 9)) }
    lines.append("")
    lines += style.remarks(summary.diagnoses, further: summary.furtherDiagnoses, summary.notes)
    lines += style.conclusion(conclusion(for: report, target: target, profile: summary.profile))
    return lines
  }
}
