// The report of `mallow layout` on a process or a core file in JSON, written byte by byte: there may be many thousand regions.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import FoundationEssentials
import ProcessImage

struct LayoutJSON {
  let summary: LayoutSummary

  /// The document around the regions; keys that sort before and after them.
  private struct Head: Encodable {
    var command = "layout"
    var kernelResident: UInt64?
    var notes: [String]
    var schema = Reports.schema
    var source: String?
    var target: TargetPart
    var total: CountsPart
  }

  func string() throws -> String {
    let head = Head(
      kernelResident: summary.kernelResident, notes: summary.notes, source: summary.source?.rawValue, target: TargetPart(summary.target),
      total: CountsPart(summary.space.total))
    let encoded = try JSONReport.encode(head)
    // The regions come in front of the closing brace.
    guard let end = encoded.lastIndex(of: "}") else { return encoded }
    var text = ByteText(capacity: encoded.utf8.count + summary.space.regions.count * 220)
    text.append(String(encoded[..<end].dropLast()))
    text.append(",\n  \"regions\" : [")
    for (index, region) in summary.space.regions.enumerated() {
      text.append(index == 0 ? "\n    " : ",\n    ")
      append(region, &text)
    }
    text.append("\n  ]\n}\n")
    return text.string
  }

  private func append(_ region: AddressSpace.Region, _ text: inout ByteText) {
    text.append("{\"start\":\"0x")
    text.append(region.start.rawValue, radix: 16)
    text.append("\",\"end\":\"0x")
    text.append(region.end.rawValue, radix: 16)
    text.append("\",\"kind\":\"")
    text.append(region.kind.rawValue)
    if !region.name.isEmpty {
      text.append("\",\"name\":\"")
      text.appendEscaped(region.name)
    }
    if let module = region.module {
      text.append("\",\"module\":\"")
      text.appendEscaped(module)
    }
    text.append("\",\"permissions\":\"")
    text.append(region.permissions.description)
    text.append("\"")
    if let thread = region.threadID { append("thread", UInt64(max(0, thread)), &text) }
    if let depth = region.usedDepth { append("usedDepth", depth, &text) }
    append("virtual", region.size, &text)
    append("resident", region.counts.resident, &text)
    append("dirty", region.counts.dirty, &text)
    append("swapped", region.counts.swapped, &text)
    append("huge", region.counts.huge, &text)
    append("untouched", region.counts.untouched, &text)
    text.append("}")
  }

  private func append(_ key: String, _ value: UInt64, _ text: inout ByteText) {
    text.append(",\"")
    text.append(key)
    text.append("\":")
    text.append(value)
  }
}

struct CountsPart: Encodable {
  var virtual, resident, dirty, swapped, huge, untouched: UInt64

  init(_ counts: PageCounts) {
    (virtual, resident, dirty) = (counts.size, counts.resident, counts.dirty)
    (swapped, huge, untouched) = (counts.swapped, counts.huge, counts.untouched)
  }
}

extension ByteText {
  /// A string's characters as they stand between quotation marks in JSON (RFC 8259, section 7).
  mutating func appendEscaped(_ text: String) {
    for byte in text.utf8 {
      switch byte {
      case 0x22, 0x5c:
        append("\\")
        append(Unicode.Scalar(byte))
      case 0..<0x20:
        append("\\u00")
        append(UInt64(byte >> 4), radix: 16)
        append(UInt64(byte & 15), radix: 16)
      default: appendByte(byte)
      }
    }
  }
}
