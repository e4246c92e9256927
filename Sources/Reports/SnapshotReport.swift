// The report of `mallow snapshot`, in text and JSON.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

extension TextReport {
  /// The report on a core file that was written.
  public static func snapshot(_ summary: SnapshotSummary, style: Style = Style()) -> String {
    var lines = style.title(summary.target.name, "process \(summary.target.processID)")
    let compressed = summary.isCompressed ? ", compressed by zstd" : ""
    lines += style.section("Core", [summary.file.printable, "\(byteText(summary.fileSize))\(compressed)"])
    lines += style.section(
      "Memory",
      [
        "\(byteText(summary.storedBytes)) of \(byteText(summary.mappedBytes)) stored",
        "the rest was never touched, or is in the files that are mapped",
      ])
    lines.append(style.section("Threads", numberText(summary.threads)))
    lines.append(style.section("Pause", durationText(summary.pauseMilliseconds / 1000)))
    if !summary.notes.isEmpty { lines += [""] + style.remarks([], further: 0, summary.notes).dropLast() }
    return lines.map { $0 + "\n" }.joined()
  }
}

extension JSONReport {
  public static func snapshot(_ summary: SnapshotSummary) throws -> String { try encode(SnapshotDocument(summary)) }
}

private struct SnapshotDocument: Encodable {
  var schema = Reports.schema
  var command = "snapshot"
  var target: TargetPart
  var file: String
  var bytes: UInt64
  var compressed: Bool
  var stored: UInt64
  var mapped: UInt64
  var threads: Int
  var pause: PausePart
  var notes: [String]

  init(_ summary: SnapshotSummary) {
    target = TargetPart(summary.target)
    file = summary.file
    bytes = summary.fileSize
    compressed = summary.isCompressed
    stored = summary.storedBytes
    mapped = summary.mappedBytes
    threads = summary.threads
    pause = PausePart(milliseconds: rounded(summary.pauseMilliseconds))
    notes = summary.notes
  }
}
