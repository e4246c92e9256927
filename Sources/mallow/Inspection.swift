// From a process image to what the commands report of it.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Symbols

/// A target's heap with its symbols.
struct Inspection {
  let mirror: MemoryMirror
  /// Its blocks: of Mallow's heap, of glibc's, or none.
  let heap: TargetHeap
  let symbolizer: Symbolizer
  let types: TypeNames

  /// - Throws: ``HeapError`` where Mallow's heap can't be read, though it is there.
  init(_ image: any ProcessImage, files: SymbolFiles = SymbolFiles()) throws {
    symbolizer = Symbolizer(image: image, files: files)
    mirror = MemoryMirror(image, residentRanges: { image.touchedRanges(in: $0) })
    types = TypeNames(image: mirror, symbolizer: symbolizer)
    if let introspection = Self.introspection(of: image, symbolizer) {
      heap = TargetHeap(try MallowHeap(mirror, introspection: introspection))
    } else if let glibc = GlibcHeap(mirror),
      !glibc.isUnused || OtherAllocator.module(in: mirror, symbolizer, besides: glibc.arenas[0].state.lowerBound) == nil
    {
      heap = TargetHeap(glibc)
    } else {
      heap = TargetHeap(unknown: mirror)
    }
  }

  /// The variable by which the allocator is found: in the preloaded library, or in a program that was linked with it.
  private static func introspection(of image: any ProcessImage, _ symbolizer: Symbolizer) -> Address? {
    let library = image.mappings.first { $0.name.hasSuffix("/libmallow.so") }?.name
    return symbolizer.address(ofSymbol: "mallow_introspection", inModule: library ?? image.executable)
  }

  /// Why there are no blocks, for a command that needs them; nil where there are.
  var missingHeap: Failure? {
    guard heap.allocator == .unknown else { return nil }
    let other = OtherAllocator.module(in: mirror, symbolizer, besides: nil)
    let which = other.map { "on the allocator in \($0)" } ?? "neither on glibc's malloc nor on Mallow's"
    return Failure(
      "Process \(mirror.processID) runs \(which), whose blocks can't be told apart: "
        + "start it with `mallow run`, or with LD_PRELOAD=libmallow.so.")
  }

  /// What runtimes the program has, linked statically too.
  var traits: ProgramTraits {
    var traits = ProgramTraits(mirror.mappings)
    if !traits.isSwift { traits.isSwift = symbolizer.hasSection("swift5_type_metadata", inModule: mirror.executable) }
    if !traits.isCPlusPlus {
      let function = "_ZSt18_Rb_tree_incrementPSt18_Rb_tree_node_base"
      traits.isCPlusPlus = symbolizer.address(ofSymbol: function, inModule: mirror.executable) != nil
    }
    return traits
  }

  var rootNames: RootNames { RootNames(mirror, symbolizer, ThreadLocals(image: mirror, symbolizer: symbolizer)) }

  func census() -> HeapCensus { HeapCensus(heap, types: self, roots: rootNames, traits: traits) }

  /// What else has to be said of the heap: one sentence each.
  var notes: [String] {
    guard heap.allocator == .glibc, let name = OtherAllocator.knownLibrary(in: mirror) else { return [] }
    return ["\(name) is loaded too: blocks of that allocator are not told apart, and all of its memory counts as reachable."]
  }

  func leaks(suppressions: Suppressions) -> LeakReport {
    var options = LeakSearch.Options()
    options.suppressions = suppressions
    options.addressLimit = 10_000
    options.isSwift = traits.isSwift
    return LeakSearch(heap, options: options).run(symbolizer: self, types: self)
  }
}

extension Inspection: StackSymbolizing {
  func frames(_ returnAddresses: [Address]) -> [StackFrame] {
    // Stacks begin inside the allocator.
    let own = returnAddresses.drop { symbolizer.modulePath(containing: $0)?.hasSuffix("/libmallow.so") ?? false }
    return own.flatMap { address in
      symbolizer.frames(for: address, isReturnAddress: true).map {
        StackFrame(function: $0.function, file: $0.file, line: $0.line, module: $0.module, inlined: $0.inlined)
      }
    }
  }
}

extension Inspection: TypeNaming {
  func typeName(at address: Address, size: UInt64) -> String? { types.typeName(ofBlockAt: address, size: size)?.name }
  func firstWordType(_ word: UInt64) -> FirstWordType {
    switch types.firstWord(word) {
    case .none: .none
    case .type(let name, let minimumSize): .named(name.name, minimumSize: minimumSize)
    case .perBlock: .perBlock
    }
  }
  func fieldName(at address: Address, size: UInt64, offset: UInt64) -> String? {
    types.fieldName(ofBlockAt: address, size: size, at: offset)
  }
}
