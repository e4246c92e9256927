// mallow heap TARGET
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ArgumentParser
import Glibc
import ProcessImage
import Reports
import Symbols

struct HeapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "heap",
    abstract: "Counts the live blocks of a process or core file by type, size and allocation site.",
    discussion: """
      Types come from what the blocks begin with (Swift metadata, C++ vtables), from how the nodes and memory of C++ containers \
      are linked, and from what points to a block. A process is stopped only while a copy of it is forked. Exit codes: 0 done, \
      2 the target could not be examined.
      """)

  @Argument(help: "A process id or the path of a core file.")
  var target: TargetArgument

  @Option(help: ArgumentHelp("Describe one block instead: bounds, state, type, stack, and who points to it.", valueName: "address"))
  var address: HexadecimalAddress?

  @Option(help: ArgumentHelp("How many types to list in text.", valueName: "count"))
  var limit = 20

  @OptionGroup var report: ReportOptions

  func validate() throws {
    if limit < 1 { throw ValidationError("--limit must be at least 1.") }
  }

  func run() throws {
    let terminal = Terminal(STDERR_FILENO)
    if let address {
      let block = try terminal.showing("Looking for pointers to \(address.value) in \(target)") { try describe(address.value) }
      try report.write(to: STDOUT_FILENO, text: { TextReport.block(block, style: $0) }, json: { try JSONReport.block(block) })
    } else {
      let summary = try terminal.showing("Counting the blocks of \(target)") { try count() }
      try report.write(
        to: STDOUT_FILENO, text: { TextReport.heap(summary, style: $0, limit: limit) }, json: { try JSONReport.heap(summary) })
    }
  }

  private func count() throws -> HeapSummary {
    let opened = try target.open()
    defer { opened.close() }
    let inspection = try Inspection(opened.image)
    if let failure = inspection.missingHeap { throw failure }
    let heap = inspection.heap
    let census = inspection.census()
    let sites = Sites(heap.stacks, symbolizer: inspection)
    try opened.checkIntact()
    return HeapSummary(
      target: opened.target(heap.allocator), census: census, sites: sites, profile: heap.profile,
      pauseMilliseconds: opened.pauseMilliseconds, diagnoses: heap.diagnoses, furtherDiagnoses: heap.furtherDiagnoses,
      notes: opened.notes)
  }

  private func describe(_ address: Address) throws -> BlockSummary {
    let opened = try target.open()
    defer { opened.close() }
    let inspection = try Inspection(opened.image)
    if let failure = inspection.missingHeap { throw failure }
    var block = BlockSummary(
      address, in: inspection.heap, target: opened.target(inspection.heap.allocator), types: inspection, roots: inspection.rootNames,
      traits: inspection.traits, symbolizer: inspection)
    block.notes = opened.notes
    try opened.checkIntact()
    return block
  }
}

/// An address on the command line: `0x` and hexadecimal digits, or decimal.
struct HexadecimalAddress: ExpressibleByArgument {
  let value: Address

  init?(argument: String) {
    let isHexadecimal = argument.hasPrefix("0x") || argument.hasPrefix("0X")
    guard let number = isHexadecimal ? UInt64(argument.dropFirst(2), radix: 16) : UInt64(argument) else { return nil }
    value = Address(number)
  }
}
