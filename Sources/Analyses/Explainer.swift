// Tells what lies at an address: region, module, variable, thread, stack frame, heap block, and what keeps that alive.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage
import Symbols

/// Explains addresses of a target. Files are opened, and stacks unwound, only where an address asks for it.
public struct Explainer {
  let mirror: MemoryMirror
  let heap: TargetHeap
  let symbolizer: Symbolizer
  let space: AddressSpace
  let callFrames: CallFrames
  let threadLocals: ThreadLocals
  let start: ProgramStart?
  private let traits: ProgramTraits
  private let types: (any TypeNaming)?
  private let stackSymbolizer: (any StackSymbolizing)?

  /// - Parameters:
  ///   - types: names the types of heap blocks.
  ///   - stackSymbolizer: turns recorded stacks into frames.
  public init(
    mirror: MemoryMirror, heap: TargetHeap, symbolizer: Symbolizer, threadLocals: ThreadLocals, space: AddressSpace,
    traits: ProgramTraits, types: (any TypeNaming)? = nil, stackSymbolizer: (any StackSymbolizing)? = nil
  ) {
    self.mirror = mirror
    self.heap = heap
    self.symbolizer = symbolizer
    self.space = space
    self.types = types
    self.traits = traits
    self.stackSymbolizer = stackSymbolizer
    self.threadLocals = threadLocals
    callFrames = CallFrames(image: mirror, symbolizer: symbolizer)
    start = ProgramStart(mirror)
  }

  /// All that is known of an address.
  /// - Parameter findsHolders: searches for what keeps a live block alive, which reads all of the heap in the worst case.
  public func explain(_ address: Address, target: Target, findsHolders: Bool = true) -> Explanation {
    var result = Explanation(target: target, place: place(address))
    // Not from the mirror, which takes the kernel's own pages for untouched ones.
    result.contents = mirror.image.bytes(address, count: 64)
    if let index = heap.heap.block(containing: address) {
      let block = heap.heap.describe(index)
      // The loader allocates thread-local memory of libraries that were loaded later, and a program may allocate stacks.
      if result.place.kind != "thread-local" { result.place.kind = "heap" }
      result.block = Explanation.HeapBlock(
        block: block, freeKind: heap.glibc?.freeKind(of: index),
        type: block.state == .live ? types?.typeName(at: block.start, size: block.size) : nil,
        stack: block.stack.flatMap { heap.stacks[$0] }.flatMap { stackSymbolizer?.frames($0.frames) },
        isBehind: address >= block.end,
        keptBy: block.state == .live && findsHolders ? holders(of: index) : nil)
    }
    if result.place.kind == "heap" { (result.diagnoses, result.furtherDiagnoses) = (heap.diagnoses, heap.furtherDiagnoses) }
    if result.place.region == nil, result.place.kind == "unmapped" {
      let (below, above) = space.neighbours(of: address)
      result.below = below.map { Explanation.Neighbour(region: $0, distance: address - $0.end + 1) }
      result.above = above.map { Explanation.Neighbour(region: $0, distance: $0.start - address) }
    }
    return result
  }

  /// What lies at an address, the heap aside.
  public func place(_ address: Address) -> Place {
    guard let region = space.region(containing: address) else {
      // The hardware's gap between user space and the kernel (Intel SDM volume 1, 3.3.7.1).
      let kind =
        address.rawValue < 1 << 47 ? "unmapped" : address.rawValue >= 0xffff_8000_0000_0000 ? "kernel" : "non-canonical"
      return Place(address: address, kind: kind)
    }
    var place = Place(address: address, kind: region.kind.rawValue)
    place.region = region
    if let block = threadLocals.block(containing: address) {
      place.kind = "thread-local"
      place.module = block.module
      place.thread = Place.Thread(block.thread)
      place.symbol = threadLocals.variable(at: address, in: block)
    } else if let module = module(of: address, in: region) {
      place.module = module
      place.section = symbolizer.section(containing: address)
      place.symbol = symbolizer.variable(containing: address)
    } else if let part = startPart(at: address) {
      place.start = part
    } else {
      findStack(of: address, in: region, &place)
    }
    return place
  }

  /// The module that an address belongs to. Other memory may have merged with a module's bss to one mapping.
  private func module(of address: Address, in region: AddressSpace.Region) -> String? {
    switch region.kind {
    case .text, .rodata, .data, .bss, .vdso: symbolizer.modulePath(containing: address) ?? region.module
    default: region.module
    }
  }

  private func holders(of block: BlockIndex) -> Explanation.Holders {
    let scanner = BlockScanner(heap.heap, isSwift: traits.isSwift)
    let roots = Roots(mirror, heapRanges: heap.heapRanges)
    let search = ChainSearch(scanner, roots: roots) { symbolizer.modulePath(containing: $0.lowerBound) != nil }
    guard let chain = search.chain(to: block) else {
      return Reachability(scanner, roots: roots).marks.contains(heap.heap.number(of: block)) ? .unaligned : .nothing
    }
    var result = Explanation.Chain(
      chain: chain, types: chain.links.map { types?.typeName(at: $0.start, size: $0.size) },
      fields: chain.links.map { link in link.offset.flatMap { types?.fieldName(at: link.start, size: link.size, offset: $0) } })
    switch chain.root {
    case .memory(let address): result.root = place(address)
    case .register(let thread, _): result.thread = mirror.image.threads.first { $0.threadID == thread }.map { Place.Thread($0) }
    case .endedThread, .kernel: break
    }
    return .chain(result)
  }
}
