// The report of `mallow run` in text.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

struct RunText {
  let run: RunSummary
  let style: Style
  let frameLimit: Int

  var lines: [String] {
    var lines = style.title(run.target.name, "\(exitText) after \(durationText(run.wallSeconds))\(processorText)")
    lines += memoryLines + heapLines + [""]
    lines += siteLines + leakLines
    lines += style.remarks(run.diagnoses, further: run.furtherDiagnoses, run.notes)
    lines += style.conclusion(conclusion(for: run))
    return lines
  }

  private var exitText: String {
    switch run.exit {
    case .code(0): "exited with code 0"
    case .code(let code): style.paint("exited with code \(code)", .bad)
    case .signal(let signal): style.paint("was killed by \(signalName(signal))", .bad)
    }
  }

  private var processorText: String { run.processorSeconds.map { ", \(durationText($0)) of processor time" } ?? "" }

  private var memoryLines: [String] {
    let figures = [
      run.peakResident.map { "\(byteText($0)) at the peak" }, run.resident.map { "\(byteText($0)) at the end" },
    ].compactMap { $0 }
    return figures.isEmpty ? [] : [style.section("Memory", columns(figures) + "resident")]
  }

  private var heapLines: [String] {
    guard let heap = run.heap else { return [] }
    let blank = String(repeating: " ", count: 9)
    return [
      style.section("Heap", columns(["\(byteText(heap.live.bytes)) live", countText(heap.live.blocks, "block")])),
      blank + columns(["\(byteText(heap.freeInUsedPages)) free", "between live blocks"]),
      blank + columns(["\(byteText(heap.retained &+ heap.emptyPageBytes)) retained", "free, kept for reuse"]),
      blank + columns([countText(heap.allocations, "allocation"), countText(heap.frees, "free")]),
    ].map { $0.trimmingTrailingBlanks() }
  }

  /// Texts below each other in columns.
  private func columns(_ texts: [String]) -> String { texts.map { $0.padded(25) + "  " }.joined() }

  private var siteLines: [String] {
    guard !run.sites.largest.isEmpty else { return [] }
    let sampled =
      run.profile == .sampled ? " (estimates\(run.sampleInterval.map { ", a sample every \(byteText($0))" } ?? ""))" : ""
    let which = run.sites.count > 1 ? "the largest of \(numberText(run.sites.count)) allocation sites" : "one allocation site"
    let text = SiteText(sites: run.sites, style: style, siteLimit: 5, frameLimit: frameLimit)
    return [style.section("Held by", which + sampled)] + text.lines + [""]
  }

  private var leakLines: [String] {
    guard let leaks = run.leaks else { return [] }
    let text = LeakText(report: leaks, style: style, entryLimit: 5, frameLimit: frameLimit)
    return style.section("Lost", text.summary) + text.lines + [""]
  }
}

extension String {
  fileprivate func trimmingTrailingBlanks() -> String {
    var result = self[...]
    while result.last == " " { result.removeLast() }
    return String(result)
  }
}

/// A signal's name and number, as `SIGSEGV (11)`; signal(7), x86-64.
func signalName(_ signal: Int32) -> String {
  let names: [Int32: String] = [
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
    10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ",
    31: "SIGSYS",
  ]
  return names[signal].map { "\($0) (\(signal))" } ?? "signal \(signal)"
}
