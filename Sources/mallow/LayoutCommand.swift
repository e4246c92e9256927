// mallow layout TARGET
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ArgumentParser
import Glibc
import Heaps
import ProcessImage
import Reports
import Symbols

struct LayoutCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "layout",
    abstract: "Shows the address space of a process, a core file or an ELF file from low to high addresses.",
    discussion: """
      Of a process and a core file: the text, data and bss of each module, the heap, mappings, stacks, and what the kernel put there, \
      with how much of each is resident, dirty, swapped, huge or untouched. Of an ELF file: what the loader will map where. A process is \
      not stopped for this, except that running threads may be halted for an instant to see where their stacks are. Exit codes: 0 done, \
      2 the target could not be examined.
      """)

  @Argument(help: "A process id, a core file, or an ELF file.")
  var target: TargetArgument

  @Flag(help: "Show each region in a line of its own.")
  var all = false

  @OptionGroup var report: ReportOptions

  func run() throws {
    switch target {
    case .process(let process):
      try write(try Self.summary(of: process))
    case .file(let path):
      if let file = try? ELFFile(path: path), !file.isCore {
        let layout = FileLayout(file)
        try report.write(
          to: STDOUT_FILENO, text: { TextReport.layout(layout, of: file, style: $0) }, json: { try JSONReport.layout(layout, of: file) })
      } else {
        try write(Self.summary(of: try Self.core(path)))
      }
    }
  }

  private static func core(_ path: String) throws -> CoreFile {
    do {
      return try CoreFile(path: path)
    } catch {
      guard case .notCore = error else { throw error }
      throw Failure("\(path) is neither an ELF file nor a core file.")
    }
  }

  private func write(_ summary: LayoutSummary) throws {
    try report.write(
      to: STDOUT_FILENO, text: { TextReport.layout(summary, style: $0, showsAll: all) }, json: { try JSONReport.layout(summary) })
  }

  private static func summary(of identifier: Int32) throws -> LayoutSummary {
    let process = try RunningProcess(try ProcessFacts(process: identifier))
    let residency = process.residency
    let resident = process.facts.readResidentBytes()
    var facts = AddressSpaceFacts(
      process, residency: residency, auxiliaryVector: process.facts.auxiliaryVector, readFile: { process.readFile(of: $0) })
    facts.add(process.facts)
    let allocator = addAllocator(of: process, to: &facts)
    var notes: [String] = []
    let hidden = process.threads.filter { $0.stackPointer == Address(0) }.count
    if hidden > 0 {
      notes.append(
        "The stack pointer of \(countText(hidden, "thread")) could not be read, whose \(hidden == 1 ? "stack counts" : "stacks count") as "
          + "anonymous memory.")
    }
    switch residency.source {
    case .smaps: notes.append("The kernel does not tell the state of single pages: within a mapping the figures are estimates.")
    case .pagemap where !residency.isExact:
      notes.append("The kernel does not tell the page of zeros from others here: figures of resident memory may be too high.")
    default: break
    }
    return LayoutSummary(
      target: Target(processID: process.processID, executable: process.executable, allocator: allocator), space: AddressSpace(facts),
      kernelResident: resident, source: residency.source, notes: notes)
  }

  private static func summary(of core: CoreFile) -> LayoutSummary {
    var held: [Range<Address>] = []
    for mapping in core.mappings { held += core.touchedRanges(in: mapping.start..<mapping.end) }
    let vector = AuxiliaryVector(values: core.auxiliaryVector)
    var facts = AddressSpaceFacts(core, residency: Residency(contents: held), auxiliaryVector: vector)
    let allocator = addAllocator(of: core, to: &facts)
    return LayoutSummary(
      target: Target(processID: 0, executable: core.executable, allocator: allocator), space: AddressSpace(facts), source: .contents,
      notes: core.notes + ["Resident is what the core file holds of each region."])
  }

  /// Names the allocator's memory.
  private static func addAllocator(of image: any ProcessImage, to facts: inout AddressSpaceFacts) -> Target.Allocator {
    let mirror = MemoryMirror(image, residentRanges: { image.touchedRanges(in: $0) })
    var memory: [AllocatorMemory] = []
    var allocator = Target.Allocator.unknown
    if let library = facts.modules.first(where: { $0.path.hasSuffix("/libmallow.so") })?.path {
      allocator = .mallow
      if let address = Symbolizer(image: image).address(ofSymbol: "mallow_introspection", inModule: library) {
        memory = (try? MallowHeap.memory(mirror, introspection: address)) ?? []
      }
    } else {
      memory = GlibcHeap.memory(mirror)
      if !memory.isEmpty { allocator = .glibc }
    }
    facts.namedRanges += memory.map { AddressSpaceFacts.NamedRange($0.range, name: $0.name) }
    return allocator
  }
}
