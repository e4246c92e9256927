// The report of `mallow fragmentation`, in text and JSON.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

extension TextReport {
  /// How full the heap's memory is.
  /// - Parameter limit: how many sizes of blocks to list.
  public static func fragmentation(_ summary: FragmentationSummary, style: Style = Style(), limit: Int = 12) -> String {
    let heap = summary.fragmentation
    let target = summary.target
    var lines = style.title(target.name, target.processID > 0 ? "process \(target.processID)" : "core file")
    func line(_ bytes: UInt64, _ state: String, _ remark: String) -> String {
      byteText(bytes).aligned(11) + shareText(bytes, of: heap.resident).aligned(6) + "  " + state.padded(10) + remark
    }
    lines += style.section(
      "Heap",
      [
        line(heap.resident, "resident", target.allocator.rawValue),
        line(heap.live, "live", countText(heap.liveBlocks, "block")),
        line(heap.inPages, "free", "between live blocks"),
        line(heap.cached, "cached", "whole pages, kept for reuse"),
        line(heap.metadata, "metadata", "the allocator's own"),
      ])
    if let ratio = heap.ratio { lines += [style.section("Ratio", "\(hundredths(ratio)) resident bytes for each live one")] }
    lines.append("")
    let classes = heap.classes.filter { $0.free.resident > 0 }
    if !classes.isEmpty {
      lines.append(
        style.paint(
          "size".aligned(11) + "live blocks".aligned(15) + "free blocks".aligned(15) + "live bytes".aligned(14) + "free bytes".aligned(14),
          .heading))
      for row in classes.prefix(limit) {
        lines.append(
          byteText(row.size).aligned(11) + numberText(row.live.blocks).aligned(15) + numberText(row.free.blocks).aligned(15)
            + byteText(row.live.resident).aligned(14) + byteText(row.free.resident).aligned(14))
      }
      let rest = classes.dropFirst(limit)
      if !rest.isEmpty {
        let free = rest.reduce(0 as UInt64) { $0 &+ $1.free.resident }
        lines.append("… and \(countText(rest.count, "more size"))".padded(55) + byteText(free).aligned(14))
      }
      lines.append("")
    }
    lines += style.remarks(summary.diagnoses, further: summary.furtherDiagnoses, summary.notes)
    lines += style.conclusion(conclusion(for: heap))
    return lines.map { $0 + "\n" }.joined()
  }

  private static func hundredths(_ value: Double) -> String {
    guard value.isFinite, value < 1e15 else { return "?" }
    let units = Int((value * 100).rounded())
    return "\(units / 100).\(units % 100 < 10 ? "0" : "")\(units % 100)"
  }
}

extension JSONReport {
  public static func fragmentation(_ summary: FragmentationSummary) throws -> String { try encode(FragmentationDocument(summary)) }
}

private struct FragmentationDocument: Encodable {
  struct Free: Encodable {
    var inPages: UInt64
    var cached: UInt64
  }

  struct Size: Encodable {
    var size: UInt64
    var live: OccupancyPart
    var free: OccupancyPart
  }

  var schema = Reports.schema
  var command = "fragmentation"
  var target: TargetPart
  var resident: UInt64
  var live: UInt64
  var liveBlocks: Int
  var free: Free
  var metadata: UInt64
  var ratio: Double?
  var classes: [Size]
  var pause: PausePart?
  var conclusion: [String]
  var diagnoses: [DiagnosisPart]
  var notes: [String]

  init(_ summary: FragmentationSummary) {
    let heap = summary.fragmentation
    target = TargetPart(summary.target)
    resident = heap.resident
    live = heap.live
    liveBlocks = heap.liveBlocks
    free = Free(inPages: heap.inPages, cached: heap.cached)
    metadata = heap.metadata
    ratio = heap.ratio.map { rounded($0) }
    classes = heap.classes.map { Size(size: $0.size, live: OccupancyPart($0.live), free: OccupancyPart($0.free)) }
    pause = summary.pauseMilliseconds.map { PausePart(milliseconds: rounded($0)) }
    conclusion = Analyses.conclusion(for: heap)
    diagnoses = summary.diagnoses.map { DiagnosisPart($0) }
    notes = summary.notes
  }
}
