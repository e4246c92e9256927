// What the loader will map where of an ELF file, with the sections in each piece.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage
import Symbols

/// The address space that an ELF file asks for, by its program headers. Addresses are link-time ones: position-independent files are
/// loaded that much higher.
public struct FileLayout: Sendable {
  /// A part of a loadable segment.
  public struct Region: Hashable, Sendable {
    public var start: UInt64
    /// The first address after it.
    public var end: UInt64
    public var kind: AddressSpace.Kind
    /// While the program runs.
    public var permissions: Permissions
    /// Where its contents lie in the file; nil for zeros.
    public var fileOffset: UInt64?
    /// The loader writes to it and then makes it read-only.
    public var isReadOnlyAfterRelocation: Bool
    public var sections: [String]
  }

  /// The template of each thread's static thread-local variables.
  public struct ThreadLocal: Hashable, Sendable {
    public var start: UInt64
    public var fileSize, memorySize, alignment: UInt64
    public var sections: [String]
  }

  /// In address order.
  public var regions: [Region] = []
  public var threadLocal: ThreadLocal?
  /// Whether the main stack may be executed; nil where the file does not say, which means that it may.
  public var isStackExecutable: Bool?
  /// Sections that are not loaded: debug information, the symbol table.
  public var unloaded: [(name: String, size: UInt64)] = []
  public var notes: [String]

  /// The page size that a file's pieces are rounded to. Linkers align segments to the largest page of the processor, not the smallest.
  static let pageSize: UInt64 = 4096

  public init(_ file: ELFFile) {
    notes = file.notes
    let loaded = file.segments.filter { $0.isLoaded && $0.memorySize > 0 }.sorted { $0.address < $1.address }
    let sections = file.sections.filter { $0.isLoaded && $0.size > 0 }
    let relro = file.segments.first { $0.isReadOnlyAfterRelocation && $0.memorySize > 0 }.flatMap { Self.protected($0) }
    if loaded.isEmpty { notes.append("It has no segment to load: an object file is linked into a program first.") }
    for segment in loaded {
      guard segment.fileSize <= segment.memorySize, !segment.address.addingReportingOverflow(segment.memorySize).overflow,
        segment.address + segment.memorySize <= UInt64.max - Self.pageSize
      else {
        notes.append("The segment at \(Address(segment.address)) has an impossible size.")
        continue
      }
      regions += Self.pieces(of: segment, relro: relro)
    }
    if zip(loaded, loaded.dropFirst()).contains(where: { $0.address &+ $0.memorySize > $1.address }) {
      notes.append("Segments overlap each other.")
    }
    for section in sections where !(section.isThreadLocal && section.isZeros) {
      if let index = regions.firstIndex(where: { section.address >= $0.start && section.address < $0.end }) {
        regions[index].sections.append(section.name)
      }
    }
    if let template = file.segments.first(where: { $0.isThreadLocal && $0.memorySize > 0 }) {
      threadLocal = ThreadLocal(
        start: template.address, fileSize: template.fileSize, memorySize: template.memorySize, alignment: template.alignment,
        sections: sections.filter(\.isThreadLocal).map(\.name))
    }
    isStackExecutable = file.segments.first { $0.isStack }.map(\.isExecutable)
    unloaded = file.sections.filter { !$0.isLoaded && $0.size > 0 && !$0.name.isEmpty }.map { ($0.name, $0.size) }
  }

  /// Initialised bytes, and the zeros behind them up to the end of their last page, both split where the loader makes a part read-only.
  private static func pieces(of segment: ELFFile.Segment, relro: Range<UInt64>?) -> [Region] {
    let start = segment.address
    let fileEnd = start + segment.fileSize
    let end = (start + segment.memorySize + pageSize - 1) & ~(pageSize - 1)
    let dataEnd = segment.memorySize == segment.fileSize ? end : fileEnd
    var permissions: Permissions = []
    if segment.isReadable { permissions.insert(.read) }
    if segment.isWritable { permissions.insert(.write) }
    if segment.isExecutable { permissions.insert(.execute) }
    let kind: AddressSpace.Kind = segment.isExecutable ? .text : segment.isWritable ? .data : .rodata

    var regions: [Region] = []
    func add(_ from: UInt64, _ to: UInt64, relocated: Bool) {
      guard from < to else { return }
      regions.append(
        Region(
          start: from, end: to, kind: from < dataEnd ? kind : .bss, permissions: relocated ? permissions.subtracting(.write) : permissions,
          fileOffset: from < dataEnd ? segment.fileOffset &+ (from - start) : nil, isReadOnlyAfterRelocation: relocated, sections: []))
    }
    for (from, to) in [(start, dataEnd), (dataEnd, end)] {
      let first = min(max(relro?.lowerBound ?? to, from), to)
      let last = max(first, min(relro?.upperBound ?? to, to))
      add(from, first, relocated: false)
      add(first, last, relocated: relro != nil)
      add(last, to, relocated: false)
    }
    return regions
  }

  /// The whole pages that the loader protects: it rounds both ends down.
  private static func protected(_ segment: ELFFile.Segment) -> Range<UInt64>? {
    let (sum, overflow) = segment.address.addingReportingOverflow(segment.memorySize)
    let start = segment.address & ~(pageSize - 1)
    let end = sum & ~(pageSize - 1)
    return overflow || start >= end ? nil : start..<end
  }
}
