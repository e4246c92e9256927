// The report of `mallow account` in JSON.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

extension JSONReport {
  public static func account(_ summary: AccountSummary) throws -> String { try encode(AccountDocument(summary)) }
}

private struct RowPart: Encodable {
  var name: String
  var bytes: UInt64
  var blocks: Int?
  var rows: [RowPart]?

  init(_ row: AccountRow) {
    name = row.name
    bytes = row.bytes
    blocks = row.blocks
    rows = row.rows.isEmpty ? nil : row.rows.map { RowPart($0) }
  }
}

/// Blocks with what is resident of them.
struct OccupancyPart: Encodable {
  var blocks: Int
  var bytes: UInt64
  var resident: UInt64

  init(_ part: PartOccupancy) {
    blocks = part.blocks
    bytes = part.bytes
    resident = part.resident
  }
}

private struct OutsidePart: Encodable {
  struct Estimate: Encodable {
    var bytes: UInt64
    var mappings: Int
    var isEstimate = true
  }

  var pageTables: UInt64?
  var swap: UInt64?
  var hugePages: UInt64
  var mappingRecords: Estimate
  var groupFileCache: UInt64?

  init(_ costs: OutsideCosts) {
    pageTables = costs.pageTables
    swap = costs.swapped
    hugePages = costs.hugePages
    mappingRecords = Estimate(bytes: costs.mappingRecords, mappings: costs.mappings)
    groupFileCache = costs.fileCache
  }
}

private struct AccountDocument: Encodable {
  struct Heap: Encodable {
    var live: OccupancyPart
    var resident: UInt64
  }

  var schema = Reports.schema
  var command = "account"
  var target: TargetPart
  var resident: UInt64
  var explained: UInt64
  var unexplained: Int64
  var rows: [RowPart]
  var outside: OutsidePart
  var heap: Heap?
  /// Where residency is known from.
  var source: String
  var pause: PausePart?
  var diagnoses: [DiagnosisPart]
  var notes: [String]

  init(_ summary: AccountSummary) {
    target = TargetPart(summary.target)
    resident = summary.account.resident
    explained = summary.account.explained
    unexplained = summary.account.unexplained
    rows = summary.account.rows.map { RowPart($0) }
    outside = OutsidePart(summary.outside)
    heap = summary.heap.map { Heap(live: OccupancyPart($0[.live]), resident: $0.resident) }
    source = summary.source.rawValue
    pause = summary.pauseMilliseconds.map { PausePart(milliseconds: rounded($0)) }
    diagnoses = summary.diagnoses.map { DiagnosisPart($0) }
    notes = summary.notes
  }
}
