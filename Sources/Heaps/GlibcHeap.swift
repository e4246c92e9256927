// The heap of glibc's malloc, read from outside and without symbols.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// A heap of glibc's malloc (2.26 to 2.41 on x86-64), as it lay in an image.
///
/// Nothing that is read is trusted: what contradicts itself is left out and noted in ``diagnoses``.
public struct GlibcHeap {
  /// Why a block that the program does not hold is still whole.
  public enum FreeKind: String, Sendable {
    /// A thread keeps it for its next allocation of that size.
    case threadCache
    /// On a fast list of its arena.
    case fastbin
    /// In a bin of its arena: unsorted, small or large.
    case bin
    /// Not free but malloc's own: the record of a thread's cache.
    case metadata
  }

  /// An arena: a `malloc_state` and the memory that it allocates from.
  public struct Arena: Sendable {
    /// Where its `malloc_state` lies.
    public let state: Range<Address>
    public let isMain: Bool
    /// The memory that it has taken from the system, in address order, with all headers and the top.
    public let ranges: [Range<Address>]
    /// What was never handed out, or was joined with it: the end of one of the ranges. Empty where there is none.
    public let top: Range<Address>
  }

  /// All blocks, the freed ones included, but neither tops nor headers.
  public let heap: Heap
  public let statistics: HeapStatistics
  /// The main arena first.
  public let arenas: [Arena]
  /// Blocks with mappings of their own: from the mapping's start to its end, in address order.
  public let mappedChunks: [Range<Address>]
  /// Everything above, in address order: words there are not the program's but in blocks.
  public let heapRanges: [Range<Address>]
  /// Whether the links of free lists are stored disguised (2.32 and later); nil where no list tells.
  public let hasSafeLinking: Bool?
  public let diagnoses: [Diagnosis]
  /// Contradictions beyond those in ``diagnoses``.
  public let furtherDiagnoses: Int
  private let lists: FreeLists

  /// Whether nothing was ever allocated from it: then another allocator may have taken its place.
  public let isUnused: Bool

  /// Reads the heap; nil where the image has none.
  public init?(_ mirror: MemoryMirror) {
    var reader = GlibcHeapReader(mirror)
    var records = reader.findArenas()
    isUnused = records.isEmpty
    if records.isEmpty, let unused = reader.findUnusedArena() { records = [unused] }
    guard !records.isEmpty else { return nil }
    let parameters = reader.findParameters(records)
    let arenas = reader.readArenas(records, parameters)
    let known = arenas.flatMap { $0.ranges + [$0.state] }.merged()
    mappedChunks = reader.readMappedChunks(parameters, excluding: known)
    let whole = reader.assembleHeap()
    lists = reader.readLists(records, whole)
    heap = lists.heap
    hasSafeLinking = lists.isProtected
    self.arenas = arenas
    heapRanges = (known + mappedChunks).merged()
    statistics = GlibcHeapReader.statistics(lists, arenas, mappedChunks)
    diagnoses = reader.log.diagnoses
    furtherDiagnoses = reader.log.dropped
  }

  /// Why a block is free; nil for a live one.
  public func freeKind(of block: BlockIndex) -> FreeKind? {
    let number = heap.number(of: block)
    return lists.kind(of: number)
  }
}

/// The state of one reading. Each step is in a file of its own.
struct GlibcHeapReader {
  let mirror: MemoryMirror
  var log = DiagnosisLog()
  var runs: [ChunkRun] = []
  /// Blocks that may be records of a thread's cache, by their size.
  var threadCaches: [UInt64] = []
  /// Where walks over chunks began.
  var arenaStarts: Set<UInt64> = []

  init(_ mirror: MemoryMirror) { self.mirror = mirror }

  @inline(__always)
  func word(_ address: UInt64) -> UInt64? { mirror.word(Address(address)) }

  /// The heap of all runs. Runs that overlap others were read from damaged or hostile memory.
  mutating func assembleHeap() -> Heap {
    var kept: [ChunkRun] = []
    let sorted = runs.compactMap { run in run.extent.map { (run, $0) } }.sorted { $0.1.lowerBound < $1.1.lowerBound }
    runs = []
    var end = Address(0)
    for (run, extent) in sorted {
      if extent.lowerBound < end {
        log.note(.arena, extent.lowerBound, "two stretches of blocks overlap at \(extent.lowerBound): one of them is left out")
        continue
      }
      kept.append(run)
      end = extent.upperBound
    }
    return ChunkRun.heap(kept, mirror)
  }

  static func statistics(_ lists: FreeLists, _ arenas: [GlibcHeap.Arena], _ mapped: [Range<Address>]) -> HeapStatistics {
    let heap = lists.heap
    var result = HeapStatistics()
    heap.forEachLiveBlock { result.live += BlockCount(blocks: 1, bytes: heap.usableSize(of: $0)) }
    heap.forEachFreeBlock {
      let size = heap.usableSize(of: $0)
      if lists.metadata.contains(heap.number(of: $0)) {
        result.metadata &+= size
      } else {
        result.free += BlockCount(blocks: 1, bytes: size)
      }
    }
    result.freeInUsedPages = result.free.bytes
    result.pages = arenas.reduce(0) { $0 + $1.ranges.count } + mapped.count
    result.uncarved = arenas.reduce(0) { $0 &+ ($1.top.upperBound - $1.top.lowerBound) }
    result.threadHeaps = arenas.count
    result.mapped = (arenas.flatMap(\.ranges) + mapped).reduce(0) { $0 &+ ($1.upperBound - $1.lowerBound) }
    let blocks = result.live.bytes &+ result.free.bytes &+ result.metadata &+ result.uncarved
    result.metadata &+= result.mapped > blocks ? result.mapped - blocks : 0
    return result
  }
}
