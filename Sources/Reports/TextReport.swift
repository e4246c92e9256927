// Reports for people.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import Symbols

/// Text reports. Each ends in a newline.
public enum TextReport {
  /// The report of a run: one screen. Processes that the program started, where these were followed, get a line each below.
  public static func run(_ run: RunSummary, children: [RunSummary] = [], style: Style = Style()) -> String {
    let childLines = children.isEmpty ? [] : [""] + ChildrenText(children: children, style: style).lines
    return Self.run(run, style: style) + childLines.joinedLines()
  }

  private static func run(_ run: RunSummary, style: Style) -> String {
    // As many frames as fit one screen.
    for frames in stride(from: 6, to: 1, by: -1) {
      let lines = RunText(run: run, style: style, frameLimit: frames).lines
      if lines.count <= screen { return lines.joinedLines() }
    }
    return RunText(run: run, style: style, frameLimit: 1).lines.joinedLines()
  }

  /// The report of a search for leaks.
  /// - Parameter limit: how many groups to list.
  public static func leaks(_ summary: LeaksSummary, style: Style = Style(), limit: Int = 20) -> String {
    LeaksText(summary: summary, style: style, limit: limit).lines.joinedLines()
  }

  /// The picture of an address space.
  /// - Parameter showsAll: whether each region has a line of its own.
  public static func layout(_ summary: LayoutSummary, style: Style = Style(), showsAll: Bool = false) -> String {
    LayoutText(summary: summary, style: style, showsAll: showsAll).string
  }

  /// What the loader will map of a file.
  public static func layout(_ file: FileLayout, of header: ELFFile, style: Style = Style()) -> String {
    FileLayoutText(layout: file, header: header, style: style).lines.joinedLines()
  }

  /// The report on a heap's blocks.
  /// - Parameter limit: how many types, sizes and sites to list of each.
  public static func heap(_ summary: HeapSummary, style: Style = Style(), limit: Int = 20) -> String {
    HeapText(summary: summary, style: style, limit: limit).lines.joinedLines()
  }

  /// The report on one block.
  public static func block(_ block: BlockSummary, style: Style = Style()) -> String {
    BlockText(summary: block, style: style).lines.joinedLines()
  }

  private static let screen = 40
}

extension [String] {
  fileprivate func joinedLines() -> String { map { $0 + "\n" }.joined() }
}

extension Style {
  /// A report's first lines: what it is about, and what became of it.
  func title(_ name: String, _ rest: String) -> [String] {
    let name = name.printable.shortened(width / 2)
    return [paint(name, .heading) + "  " + rest, paint(String(repeating: "─", count: width), .faint)]
  }

  /// A section's first line.
  func section(_ heading: String, _ text: String) -> String { paint(heading.padded(8), .heading) + " " + text }

  /// A section's first lines.
  func section(_ heading: String, _ lines: [String]) -> [String] {
    lines.enumerated().map { $0 == 0 ? section(heading, $1) : String(repeating: " ", count: 9) + $1 }
  }

  /// The sentences at the end.
  func conclusion(_ sentences: [String]) -> [String] {
    sentences.joined(separator: " ").printable.wrapped(width).map { paint($0, .heading) }
  }

  /// Diagnoses and notes, a few of them.
  func remarks(_ diagnoses: [Diagnosis], further: Int, _ notes: [String]) -> [String] {
    let shown = diagnoses.prefix(3).map(\.description)
    let hidden = diagnoses.count - shown.count + further
    let more = hidden > 0 ? ["… and \(numberText(hidden)) more contradictions in the heap"] : []
    let lines = section("Note", (shown + more + notes).flatMap { $0.printable.wrapped(width - 9) })
    return lines.isEmpty ? [] : lines + [""]
  }
}
