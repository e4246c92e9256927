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
  }

  /// An arena: a `malloc_state` and the memory that it allocates from.
  public struct Arena: Sendable {
    /// Where its `malloc_state` lies.
    public let address: Address
    public let isMain: Bool
    /// The memory that it has taken from the system, in address order, with all headers and the top.
    public let ranges: [Range<Address>]
    /// What was never handed out, or was joined with it: the end of its last range. Empty where there is none.
    public let top: Range<Address>
  }

  /// All blocks, the freed ones included, but neither tops nor headers.
  public let heap: Heap
  public let statistics: HeapStatistics
  /// The main arena first.
  public let arenas: [Arena]
  /// Blocks with mappings of their own: from the chunk's header to the mapping's end, in address order.
  public let mappedChunks: [Range<Address>]
  /// Everything above, in address order: words there are not the program's but in blocks.
  public let heapRanges: [Range<Address>]
  public let diagnoses: [Diagnosis]
  /// Contradictions beyond those in ``diagnoses``.
  public let furtherDiagnoses: Int
  let threadCached: BitSet
  let fastbins: BitSet

  /// Why a block is free; nil for a live one.
  public func freeKind(of block: BlockIndex) -> FreeKind? {
    let number = heap.number(of: block)
    if heap.live.contains(number) { return nil }
    if threadCached.contains(number) { return .threadCache }
    return fastbins.contains(number) ? .fastbin : .bin
  }

  /// Reads the heap; nil where the image has none.
  public init?(_ mirror: MemoryMirror) {
    return nil
  }
}
