// What it all comes to: one or two sentences that say what to do.
// SPDX-License-Identifier: Apache-2.0
import Heaps

/// The conclusion of a run, in one or two plain sentences.
public func conclusion(for run: RunSummary) -> [String] {
  var sentences: [String] = []
  if !run.diagnoses.isEmpty { sentences.append(damageSentence) } else if let sentence = crashSentence(run) { sentences.append(sentence) }
  if let leaks = run.leaks {
    sentences += leakSentences(leaks, executable: run.target.executable, profile: run.profile)
  }
  if sentences.count < 2, run.leaks?.leaks.blocks ?? 0 == 0, let sentence = holderSentence(run) { sentences.append(sentence) }
  if sentences.isEmpty { sentences.append("Leaks were not searched for.") }
  return Array(sentences.prefix(2))
}

/// The conclusion of a search for leaks in a running process.
public func conclusion(for leaks: LeakReport, target: Target, profile: MallowHeap.Profile) -> [String] {
  leakSentences(leaks, executable: target.executable, profile: profile)
}

private let damageSentence =
  "The heap is damaged, so the program has written beyond a block or to a freed one: run it with MALLOW_HARDEN=1 to be told where."

private func crashSentence(_ run: RunSummary) -> String? {
  switch run.exit {
  case .signal(4), .signal(6), .signal(7), .signal(11):
    return "The program crashed: run it with MALLOW_HARDEN=1 to see whether it misused memory, and where."
  case .signal(9):
    let peak = run.peakResident.map { " It had \(byteText($0)) at its peak." } ?? ""
    return "The program was killed with SIGKILL, as the kernel does when memory runs out.\(peak)"
  default: return nil
  }
}

private func leakSentences(_ report: LeakReport, executable: String, profile: MallowHeap.Profile) -> [String] {
  guard report.leaks.blocks > 0 else {
    return [report.suppressed.blocks == 0 ? "Nothing leaked." : "Nothing leaked but what is suppressed."]
  }
  let lost =
    "\(countText(report.leaks.blocks, "block")) (\(byteText(report.leaks.bytes))) \(report.leaks.blocks == 1 ? "was" : "were") lost"
  let roots = report.groups.filter { $0.kind != .indirect }
  guard let top = roots.max(by: { $0.weight < $1.weight }) else { return ["\(lost)."] }
  let sameCycle = roots.filter { top.cycle != nil && $0.cycle == top.cycle }
  let weight = sameCycle.isEmpty ? top.weight : sameCycle.reduce(0) { $0 + $1.weight }
  let share = weight >= report.leaks.bytes ? "all" : "\(shareText(weight, of: report.leaks.bytes)) of the bytes"

  if let cycle = top.cycle {
    // Groups of other stacks may belong to the same cycles.
    let cycles = sameCycle.cycleCount
    let name = cycles == 1 ? "the cycle \(cycle)" : "\(numberText(cycles)) cycles \(cycle)"
    return ["\(lost), \(share) in \(name): make one of the references weak, or break it when they are done."]
  }
  if let frame = top.stack?.culprit(executable: executable) {
    let pronoun = report.leaks.blocks == 1 || top.count.blocks == 1 && share == "all" ? "it" : "them"
    let advice = top.held.blocks > 0 ? "free \(pronoun) with all that hangs on \(pronoun)" : "free \(pronoun)"
    return ["\(lost), \(share) from \(place(frame)): \(advice)."]
  }
  let kind = top.type.map { ", \(share) through objects of type \($0)" } ?? ""
  if profile == .full { return ["\(lost)\(kind)."] }
  return ["\(lost)\(kind).", "Run the program with `mallow run --profile full` to see where they were allocated."]
}

private func holderSentence(_ run: RunSummary) -> String? {
  guard let heap = run.heap else { return nil }
  let wasted = heap.freeInUsedPages
  if wasted > 16 << 20, wasted > heap.live.bytes / 2 {
    return "\(byteText(wasted)) of the heap is free but can't be given back, since live blocks lie in between: "
      + "put short-lived and long-lived blocks apart."
  }
  guard let top = run.sites.largest.first, top.live.bytes >= 1 << 20, top.live.bytes >= run.sites.live.bytes / 4,
    let frame = top.stack.culprit(executable: run.target.executable)
  else { return nil }
  return "\(shareText(top.live.bytes, of: run.sites.live.bytes)) of the \(byteText(run.sites.live.bytes)) that was live at the end "
    + "was allocated by \(place(frame))."
}

/// A frame in a sentence: `lose() at leak_large.c:4`.
private func place(_ frame: StackFrame) -> String {
  let function = frame.compactFunction
  let name = function.contains("(") ? function : function + "()"
  guard let file = frame.fileName else { return "\(name) in \(frame.moduleName)" }
  return "\(name) at \(file)" + (frame.line.map { ":\($0)" } ?? "")
}

extension LeakGroup {
  /// Its bytes and those that went with it.
  public var weight: UInt64 { count.bytes &+ held.bytes }
}
