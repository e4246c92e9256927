// The parts that JSON documents share.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps

struct TargetPart: Encodable {
  var pid: Int32?
  var executable: String
  var allocator: String

  init(_ target: Target) {
    pid = target.processID > 0 ? target.processID : nil
    executable = target.executable
    allocator = target.allocator.rawValue
  }
}

struct CountPart: Encodable {
  var blocks: Int
  var bytes: UInt64

  init(_ count: BlockCount) {
    blocks = count.blocks
    bytes = count.bytes
  }
}

struct FramePart: Encodable {
  var function: String
  var file: String?
  var line: Int?
  var module: String
  var inlined: Bool

  init(_ frame: StackFrame) {
    function = frame.function
    file = frame.file
    line = frame.line
    module = frame.module
    inlined = frame.inlined
  }
}

struct GroupPart: Encodable {
  var kind: String
  var blocks: Int
  var bytes: UInt64
  var type: String?
  var blockSize: UInt64?
  var cycle: String?
  var cycles: Int?
  var held: CountPart?
  /// Where the blocks are; of very many the first ones.
  var addresses: [String]
  var addressesOmitted: Int?
  var stack: [FramePart]?

  init(_ group: LeakGroup) {
    kind = group.kind.rawValue
    blocks = group.count.blocks
    bytes = group.count.bytes
    type = group.type
    blockSize = group.blockSize
    cycle = group.cycle
    cycles = group.cycles
    held = group.held.blocks > 0 ? CountPart(group.held) : nil
    addresses = group.addresses.map(\.description)
    addressesOmitted = group.count.blocks > addresses.count ? group.count.blocks - addresses.count : nil
    stack = group.stack?.map { FramePart($0) }
  }
}

struct ScannedPart: Encodable {
  var bytes: UInt64
  var milliseconds: Double

  init(_ report: LeakReport) {
    bytes = report.scannedBytes
    milliseconds = rounded(report.scannedMilliseconds)
  }
}

struct PausePart: Encodable {
  var milliseconds: Double
}

struct DiagnosisPart: Encodable {
  var part: String
  var address: String
  var description: String

  init(_ diagnosis: Diagnosis) {
    part = diagnosis.part.rawValue
    address = diagnosis.address.description
    description = diagnosis.description
  }
}

struct LeaksDocument: Encodable {
  var schema = Reports.schema
  var command = "leaks"
  var target: TargetPart
  var leaks: CountPart
  var groups: [GroupPart]
  var suppressed: CountPart
  var scanned: ScannedPart
  var alsoFollowed: DisguisePart
  var pause: PausePart?
  var conclusion: [String]
  var diagnoses: [DiagnosisPart]
  var notes: [String]

  init(_ summary: LeaksSummary) {
    target = TargetPart(summary.target)
    leaks = CountPart(summary.leaks.leaks)
    groups = summary.leaks.groups.map { GroupPart($0) }
    suppressed = CountPart(summary.leaks.suppressed)
    scanned = ScannedPart(summary.leaks)
    alsoFollowed = DisguisePart(summary.leaks.disguises)
    pause = summary.pauseMilliseconds.map { PausePart(milliseconds: rounded($0)) }
    conclusion = Analyses.conclusion(for: summary.leaks, target: summary.target, profile: summary.profile)
    diagnoses = summary.diagnoses.map { DiagnosisPart($0) }
    notes = summary.notes
  }
}
