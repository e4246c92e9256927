// mallow explain TARGET ADDRESS
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ArgumentParser
import Glibc
import ProcessImage
import Reports
import Symbols

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Tells what lies at an address of a process or core file.",
    discussion: """
      Region, module, section, symbol or variable; thread and stack frame; heap block with its type, the stack that allocated it \
      where that was recorded, and the chain of pointers that keeps it alive. A process is stopped only while a copy of it is \
      forked. Exit codes: 0 done, 2 the target could not be examined or no symbol or only several have that name.
      """)

  @Argument(help: "A process id or the path of a core file.")
  var target: TargetArgument

  @Argument(help: "An address, such as 0x7f12a0, or the name of a function or variable.")
  var address: String

  @OptionGroup var report: ReportOptions

  func run() throws {
    let terminal = Terminal(STDERR_FILENO)
    let explanation = try terminal.showing("Examining \(target)") {
      let opened = try target.open()
      defer { opened.close() }
      let inspection = try Inspection(opened.image)
      let threadLocals = ThreadLocals(image: inspection.mirror, symbolizer: inspection.symbolizer)
      let found = try find(inspection.symbolizer, threadLocals)
      let explainer = Explainer(
        mirror: inspection.mirror, heap: inspection.heap, symbolizer: inspection.symbolizer, threadLocals: threadLocals,
        space: space(inspection), traits: inspection.traits, types: inspection, stackSymbolizer: inspection)
      var explanation = explainer.explain(found.address, target: opened.target(inspection.heap.allocator))
      explanation.name = found.isNamed ? address : nil
      explanation.notes = inspection.notes + opened.notes
      try opened.checkIntact()
      return explanation
    }
    try report.write(
      to: STDOUT_FILENO, text: { TextReport.explain(explanation, style: $0) }, json: { try JSONReport.explain(explanation) })
  }

  private func space(_ inspection: Inspection) -> AddressSpace {
    let image = inspection.mirror
    let vector = ProgramStart(image).flatMap { start in
      let range = start.auxiliaryVector
      return AuxiliaryVector(image.bytes(range.lowerBound, count: Int(range.upperBound - range.lowerBound)))
    }
    var facts = AddressSpaceFacts(image, auxiliaryVector: vector)
    let owner = inspection.heap.allocator == .mallow ? "Mallow's" : "glibc's"
    // glibc's main arena is a variable of its library.
    let outside = inspection.heap.heapRanges.filter { inspection.symbolizer.modulePath(containing: $0.lowerBound) == nil }
    facts.namedRanges = outside.map { AddressSpaceFacts.NamedRange($0, name: owner) }
    return AddressSpace(facts)
  }

  /// The address as a number; nil for a name.
  private var number: Address? {
    get throws {
      let isHexadecimal = address.hasPrefix("0x") || address.hasPrefix("0X")
      guard isHexadecimal || address.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
      guard let number = isHexadecimal ? UInt64(address.dropFirst(2), radix: 16) : UInt64(address) else {
        throw ValidationError("\(address) is no address: write it as 0x and up to 16 hexadecimal digits, or as a decimal number.")
      }
      return Address(number)
    }
  }

  func validate() throws { _ = try number }

  /// The address that is asked for: as a number, or by a name that only one function or variable has.
  private func find(_ symbolizer: Symbolizer, _ threadLocals: ThreadLocals) throws -> (address: Address, isNamed: Bool) {
    if let number = try number { return (number, false) }
    let candidates = symbolizer.addresses(named: address, threadLocals: threadLocals)
    if candidates.count == 1 { return (candidates[0].address, true) }
    if candidates.isEmpty {
      throw Failure(
        "No function or variable of \(target) is called \(address), as far as its files have symbols: give an address.")
    }
    let shown = candidates.prefix(16).map { candidate in
      let thread = candidate.thread.map { "thread \($0)" } ?? candidate.module.split(separator: "/").last.map(String.init) ?? ""
      return "\(candidate.address) (\(candidate.name), \(thread))"
    }
    let more = candidates.count > shown.count ? " and \(candidates.count - shown.count) more" : ""
    throw Failure(
      "\(address) is the name of \(candidates.count) places, give one's address: \(shown.joined(separator: ", "))\(more).")
  }
}
