// A target's heap, whichever allocator made it.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// What the analyses take: the blocks of Mallow's heap, of glibc's, or of none.
public struct TargetHeap {
  /// The allocator of a target. `unknown`: none of those that can be read.
  public enum Allocator: String, Sendable { case mallow, glibc, unknown }

  public let allocator: Allocator
  /// Its blocks; none for an unknown allocator.
  public let heap: Heap
  public let statistics: HeapStatistics
  /// Memory of the allocator itself, in address order: words there are not the program's.
  public let heapRanges: [Range<Address>]
  /// Where blocks were allocated; empty where nothing was recorded.
  public let stacks: StackTable
  public let profile: MallowHeap.Profile
  /// Bytes between samples on average; nil where allocations were not sampled.
  public let sampleInterval: UInt64?
  /// What is wrong with the heap; at most 64 of them.
  public let diagnoses: [Diagnosis]
  /// Contradictions beyond those in ``diagnoses``.
  public let furtherDiagnoses: Int
  /// What only Mallow's heap has; nil for others.
  public let mallow: MallowHeap?
  /// What only glibc's heap has; nil for others.
  public let glibc: GlibcHeap?

  public init(_ heap: MallowHeap) {
    allocator = .mallow
    self.heap = heap.heap
    statistics = heap.statistics
    heapRanges = heap.heapRanges
    stacks = heap.stacks
    profile = heap.profile
    sampleInterval = heap.sampleInterval
    diagnoses = heap.diagnoses
    furtherDiagnoses = heap.furtherDiagnoses
    mallow = heap
    glibc = nil
  }

  public init(_ heap: GlibcHeap) {
    allocator = .glibc
    self.heap = heap.heap
    statistics = heap.statistics
    heapRanges = heap.heapRanges
    stacks = StackTable([])
    profile = .off
    sampleInterval = nil
    diagnoses = heap.diagnoses
    furtherDiagnoses = heap.furtherDiagnoses
    mallow = nil
    glibc = heap
  }

  /// No heap that can be read.
  public init(unknown mirror: MemoryMirror) {
    allocator = .unknown
    heap = Heap(empty: mirror)
    statistics = HeapStatistics()
    heapRanges = []
    stacks = StackTable([])
    profile = .off
    sampleInterval = nil
    diagnoses = []
    furtherDiagnoses = 0
    mallow = nil
    glibc = nil
  }
}
