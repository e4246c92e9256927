// The JSON document of `mallow run`.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

struct RunDocument: Encodable {
  struct Exit: Encodable {
    var code: Int32?
    var signal: Int32?
  }

  struct HeapPart: Encodable {
    /// Bytes and blocks that the program holds.
    var live: UInt64
    var blocks: Int
    var allocations: UInt64
    var frees: UInt64
    /// Free bytes: between live blocks, in pages without any, and kept for reuse.
    var freeInUsedPages: UInt64
    var freeInEmptyPages: UInt64
    var retained: UInt64
    var uncarved: UInt64
    var metadata: UInt64
    var mapped: UInt64
  }

  struct SitePart: Encodable {
    var liveBytes: UInt64
    var liveBlocks: Int
    var totalBytes: UInt64
    var totalBlocks: Int
    var peakBytes: UInt64
    var temporaryBlocks: UInt64
    var stack: [FramePart]
  }

  var schema = Reports.schema
  var command = "run"
  var target: TargetPart
  var exit: Exit
  var wallSeconds: Double
  var processorSeconds: Double?
  var peakResident: UInt64?
  var resident: UInt64?
  var profile: String
  var sampleInterval: UInt64?
  var heap: HeapPart?
  var leaks: CountPart?
  var groups: [GroupPart]?
  var suppressed: CountPart?
  var scanned: ScannedPart?
  var sites: [SitePart]
  /// The processes that the program started, where they were followed.
  var children: [RunDocument]?
  var conclusion: [String]
  var diagnoses: [DiagnosisPart]
  var notes: [String]

  init(_ run: RunSummary) {
    target = TargetPart(run.target)
    switch run.exit {
    case .code(let code): exit = Exit(code: code)
    case .signal(let signal): exit = Exit(signal: signal)
    }
    wallSeconds = rounded(run.wallSeconds)
    processorSeconds = run.processorSeconds.map(rounded)
    peakResident = run.peakResident
    resident = run.resident
    profile = "\(run.profile)"
    sampleInterval = run.sampleInterval
    heap = run.heap.map {
      HeapPart(
        live: $0.live.bytes, blocks: $0.live.blocks, allocations: $0.allocations, frees: $0.frees,
        freeInUsedPages: $0.freeInUsedPages, freeInEmptyPages: $0.emptyPageBytes, retained: $0.retained,
        uncarved: $0.uncarved, metadata: $0.metadata, mapped: $0.mapped)
    }
    leaks = run.leaks.map { CountPart($0.leaks) }
    groups = run.leaks.map { $0.groups.map { GroupPart($0) } }
    suppressed = run.leaks.map { CountPart($0.suppressed) }
    scanned = run.leaks.map { ScannedPart($0) }
    sites = run.sites.largest.map {
      SitePart(
        liveBytes: $0.live.bytes, liveBlocks: $0.live.blocks, totalBytes: $0.total.bytes, totalBlocks: $0.total.blocks,
        peakBytes: $0.peakBytes, temporaryBlocks: $0.temporaryBlocks, stack: $0.stack.map { FramePart($0) })
    }
    conclusion = Analyses.conclusion(for: run)
    diagnoses = run.diagnoses.map { DiagnosisPart($0) }
    notes = run.notes
  }
}
