// The reports of `mallow heap` in JSON.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

struct HeapDocument: Encodable {
  struct SizePart: Encodable {
    var size: UInt64
    var live: Int
    var free: Int
  }

  struct TypePart: Encodable {
    var type: String
    /// How it was found out: `metadata`, `structure` or `holder`.
    var evidence: String
    var blocks: Int
    var bytes: UInt64
  }

  struct SitePart: Encodable {
    var liveBytes: UInt64
    var liveBlocks: Int
    var stack: [FramePart]
  }

  var schema = Reports.schema
  var command = "heap"
  var target: TargetPart
  var live: CountPart
  var free: CountPart
  var classes: [SizePart]
  var types: [TypePart]
  var sites: [SitePart]
  var pause: PausePart?
  var diagnoses: [DiagnosisPart]
  var notes: [String]

  init(_ summary: HeapSummary) {
    target = TargetPart(summary.target)
    live = CountPart(summary.census.live)
    free = CountPart(summary.census.free)
    classes = summary.census.classes.map { SizePart(size: $0.size, live: $0.live, free: $0.free) }
    types = summary.census.types.map {
      TypePart(type: $0.name, evidence: $0.evidence.rawValue, blocks: $0.count.blocks, bytes: $0.count.bytes)
    }
    sites = summary.sites.largest.map {
      SitePart(liveBytes: $0.live.bytes, liveBlocks: $0.live.blocks, stack: $0.stack.map { FramePart($0) })
    }
    pause = summary.pauseMilliseconds.map { PausePart(milliseconds: rounded($0)) }
    diagnoses = summary.diagnoses.map { DiagnosisPart($0) }
    notes = summary.notes
  }
}

struct BlockDocument: Encodable {
  struct BlockPart: Encodable {
    var start: String
    var end: String
    var size: UInt64
    var requested: UInt64?
    var state: String
    var type: String?
    var stack: [FramePart]?
  }

  struct ReferrerPart: Encodable {
    var address: String?
    var block: String?
    var type: String?
    var name: String
    var offset: UInt64
  }

  var schema = Reports.schema
  var command = "heap"
  var target: TargetPart
  var address: String
  var block: BlockPart?
  var referrers: [ReferrerPart]
  var referrerCount: Int
  var notes: [String]

  init(_ summary: BlockSummary) {
    target = TargetPart(summary.target)
    address = summary.address.description
    block = summary.block.map { block in
      BlockPart(
        start: block.start.description, end: block.end.description, size: block.size, requested: block.requested,
        state: block.state.rawValue, type: summary.type, stack: summary.stack?.map { FramePart($0) })
    }
    referrers = summary.referrers.map {
      ReferrerPart(
        address: $0.address?.description, block: $0.block?.description, type: $0.type, name: $0.name, offset: $0.offset)
    }
    referrerCount = summary.referrerCount
    notes = summary.notes
  }
}
