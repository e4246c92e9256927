// Leaks as people think of them: one entry for each thing that was lost, with all that went with it.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

/// One entry of a list of leaks: a definite leak, or all cycles of the same types.
struct LeakEntry {
  /// Bytes lost through it, with what hung on it.
  var bytes: UInt64
  var title: String
  /// The stacks that allocated it, each with the type that it allocated where there are several.
  var stacks: [(label: String?, frames: [StackFrame])]

  /// The entries of a report, most bytes first. Indirect leaks are part of the entry that they hang on.
  static func entries(_ report: LeakReport) -> [LeakEntry] {
    var cycles: [String: Int] = [:]
    var merged: [[LeakGroup]] = []
    for group in report.groups where group.kind != .indirect {
      if let cycle = group.cycle {
        if let index = cycles[cycle] {
          merged[index].append(group)
          continue
        }
        cycles[cycle] = merged.count
      }
      merged.append([group])
    }
    let entries = merged.map { LeakEntry($0) }
    return entries.enumerated().sorted { ($1.element.bytes, $0.offset) < ($0.element.bytes, $1.offset) }.map(\.element)
  }

  private init(_ groups: [LeakGroup]) {
    let first = groups[0]
    let blocks = groups.reduce(0) { $0 + $1.count.blocks }
    let held = groups.reduce(0) { $0 + $1.held.blocks }
    bytes = groups.reduce(0) { $0 &+ $1.weight }
    if let cycle = first.cycle {
      // A cycle's blocks may have been allocated by several stacks, each with a group of its own.
      let cycles = groups.cycleCount
      title = "\(countText(cycles, "cycle")) \(cycle), \(countText(blocks, "block"))"
    } else {
      let size = first.blockSize.map { " of \(byteText($0))" } ?? ""
      title = (first.type.map { "\($0), " } ?? "") + countText(blocks, "block") + size
    }
    if held > 0 { title += ", and \(countText(held, "block")) that hung on \(blocks == 1 ? "it" : "them")" }
    let isSeveral = Set(groups.map(\.type)).count > 1
    var seen: Set<[StackFrame]> = []
    stacks = groups.compactMap { group in
      // Copies of one call that the compiler made have a stack each, and look the same.
      guard let stack = group.stack, seen.insert(stack.trimmed() + [StackFrame(function: group.type ?? "")]).inserted else { return nil }
      return (isSeveral ? group.type : nil, stack)
    }
  }
}
