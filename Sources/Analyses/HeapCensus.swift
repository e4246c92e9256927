// What the live blocks of a heap are: counted by size and by type.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// The blocks of a heap, counted.
public struct HeapCensus: Hashable, Sendable {
  /// The blocks of one size.
  public struct SizeClass: Hashable, Sendable {
    /// Bytes of each that the program may use.
    public var size: UInt64
    public var live = 0
    public var free = 0
  }

  /// How the type of a block was found out.
  public enum Evidence: String, Hashable, Sendable {
    /// Its first word points to the description of a type: Swift metadata or a C++ vtable.
    case metadata
    /// It is linked with others, or described by the object that owns it, as only a container's memory is.
    case structure
    /// Only its size and what points to it are known.
    case holder
  }

  /// The blocks of one type.
  public struct TypeCount: Hashable, Sendable {
    public var name: String
    public var evidence: Evidence
    public var count: BlockCount
  }

  public var live: BlockCount
  public var free: BlockCount
  /// By size, smallest first.
  public var classes: [SizeClass]
  /// Most bytes first.
  public var types: [TypeCount]

  public init(live: BlockCount, free: BlockCount, classes: [SizeClass], types: [TypeCount]) {
    self.live = live
    self.free = free
    self.classes = classes
    self.types = types
  }

  /// Counts the blocks of a heap. Time: a few passes over its memory; memory: 4 bytes a block whose first word tells no type.
  /// - Parameters:
  ///   - types: names types by their description.
  ///   - roots: names variables and other places outside the heap.
  ///   - traits: what runtimes the program has.
  public init(_ heap: TargetHeap, types: any TypeNaming, roots: any RootNaming, traits: ProgramTraits) {
    let blocks = heap.heap
    var table = FirstWordTable(types, scanner: BlockScanner(blocks, isSwift: traits.isSwift))
    var untyped = BitSet(capacity: blocks.numberLimit)
    var sizes: [UInt64: SizeClass] = [:]
    blocks.forEachLiveBlock { block in
      let size = blocks.usableSize(of: block)
      if !table.count(blocks.address(of: block), size) { untyped.insert(blocks.number(of: block)) }
    }
    (live, free) = (BlockCount(), BlockCount())
    for (size, isLive, count) in blocks.sizeCounts {
      let counted = BlockCount(blocks: count, bytes: size &* UInt64(count))
      if isLive { live += counted } else { free += counted }
      sizes[size, default: SizeClass(size: size)].live += isLive ? count : 0
      sizes[size]!.free += isLive ? 0 : count
    }
    var labels = BlockLabels(blocks, untyped: untyped)
    if traits.isCPlusPlus { ContainerNodes(blocks, untyped).label(&labels) }
    var holders = HolderSearch(heap, table: table, types: types, roots: roots, traits: traits)
    holders.label(&labels)
    classes = sizes.values.sorted { $0.size < $1.size }
    let counts = table.counts + labels.counts
    self.types = counts.sorted { ($1.count.bytes, $0.name) < ($0.count.bytes, $1.name) }
  }
}

/// What a program is made of, as far as that decides what its memory may hold.
public struct ProgramTraits: Hashable, Sendable {
  /// Whether Swift's runtime is in it.
  public var isSwift: Bool
  /// Whether GNU's C++ library is in it.
  public var isCPlusPlus: Bool

  public init(isSwift: Bool, isCPlusPlus: Bool) {
    self.isSwift = isSwift
    self.isCPlusPlus = isCPlusPlus
  }

  /// By the shared libraries alone.
  public init(_ mappings: [Mapping]) {
    isSwift = mappings.contains { $0.name.contains("/libswiftCore.so") }
    isCPlusPlus = mappings.contains { $0.name.contains("/libstdc++.so") }
  }
}
