// Reads the heap of a process that runs on Mallow's allocator, by the layout in CMallow/mallow_layout.h.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import ProcessImage

/// A heap of Mallow's allocator, as it lay in an image.
///
/// Nothing that is read is trusted: what contradicts itself is left out and noted in ``diagnoses``.
public struct MallowHeap {
  public let heap: Heap
  public let statistics: HeapStatistics
  /// Every allocation site, by its id. Empty where nothing was recorded.
  public let stacks: StackTable
  /// What is wrong with the heap; at most 64 of them.
  public let diagnoses: [Diagnosis]
  /// Contradictions beyond those in ``diagnoses``.
  public let furtherDiagnoses: Int
  /// Memory of the allocator itself: regions, huge mappings and metadata, in address order. Words there are not the program's.
  public let heapRanges: [Range<Address>]
  /// The part of it that holds the allocator's book-keeping, in address order. All else is pages and free slices.
  public let metadataRanges: [Range<Address>]
  /// Whether the allocator ran in hardened mode.
  public let isHardened: Bool
  public let profile: Profile
  /// Bytes between samples on average; nil where allocations were not sampled.
  public let sampleInterval: UInt64?

  public enum Profile: UInt32, Sendable {
    case off = 0
    case sampled = 1
    case full = 2
  }

  /// Reads the heap.
  /// - Parameters:
  ///   - mirror: the memory of the target.
  ///   - introspection: the address of its variable `mallow_introspection`.
  public init(_ mirror: MemoryMirror, introspection address: Address) throws(HeapError) {
    var reader = try MallowHeapReader(mirror, introspection: address)
    let threadHeaps = reader.readThreadHeaps()
    let regions = reader.readRegions()
    let (pages, heads, table) = reader.readPages(regions)
    var live = BitSet(capacity: pages.last.map { $0.firstBlock + $0.blockCount } ?? 0)
    live.insert(0..<live.capacity)
    reader.removeFreeBlocks(pages, heads, &live)
    let heap = Heap(pages: pages, live: live, mirror: mirror, table: table)
    self.heap = reader.removeQuarantined(threadHeaps, heap)
    let metadata = reader.readMetadata()
    stacks = reader.readStacks()
    statistics = reader.statistics(self.heap, regions, threadHeaps, metadata)
    metadataRanges = reader.metadataRanges(regions, metadata)
    heapRanges = (regions.map { Address($0.base)..<Address($0.end) } + metadataRanges).merged()
    diagnoses = reader.log.diagnoses
    furtherDiagnoses = reader.log.dropped
    isHardened = reader.introspection.hardened != 0
    profile = Profile(rawValue: reader.introspection.profile) ?? .off
    sampleInterval = profile == .sampled ? reader.introspection.sample_interval : nil
  }
}

/// The state of one reading. Each step is in a file of its own.
struct MallowHeapReader {
  let mirror: MemoryMirror
  let introspection: mallow_introspection
  var log = DiagnosisLog()
  /// Blocks that were granted to the fast path of malloc, and so counted as allocated, but not taken yet.
  var grantedBlocks: UInt64 = 0
  /// Slices of free runs that threads' heaps keep.
  var cachedSlices = 0
  /// The addresses of the thread heaps whose lists may be in motion.
  var busyHeaps: Set<UInt64> = []

  init(_ mirror: MemoryMirror, introspection address: Address) throws(HeapError) {
    self.mirror = mirror
    guard let words = mirror.load(address, as: mallow_introspection.self) else {
      throw HeapError(
        description: "Mallow's introspection record at \(address) can't be read: the image is incomplete or the address is wrong.")
    }
    guard words.magic == MALLOW_LAYOUT_MAGIC else {
      throw HeapError(
        description: words.magic == 0
          ? "Mallow's allocator has not started in this process: it is still being loaded, or its loading failed."
          : "This process does not run on Mallow's allocator: start it with `mallow run`, or with LD_PRELOAD=libmallow.so.")
    }
    guard words.version == UInt32(MALLOW_LAYOUT_VERSION) else {
      let newer = words.version > UInt32(MALLOW_LAYOUT_VERSION)
      throw HeapError(
        description: "This process runs on \(newer ? "a newer" : "an older") version of Mallow's allocator (layout \(words.version), "
          + "this command reads \(MALLOW_LAYOUT_VERSION)): use the mallow command that came with its libmallow.so.")
    }
    guard words.size == UInt32(MemoryLayout<mallow_introspection>.size) else {
      throw HeapError(
        description: "Mallow's introspection record is \(words.size) bytes long where \(MemoryLayout<mallow_introspection>.size) "
          + "were expected: it is damaged, or libmallow.so and this command were built from different sources.")
    }
    introspection = words
  }
}

/// Notices when a linked list comes back to where it was (Brent's algorithm), so that a damaged list ends.
struct LoopDetector {
  private var mark: UInt64 = 0
  private var steps = 0
  private var limit = 1

  /// True if `address` was met before. The last steps of a loop may be seen twice until then.
  mutating func isRepeated(_ address: UInt64) -> Bool {
    if address == mark && steps > 0 { return true }
    steps += 1
    if steps == limit {
      mark = address
      limit *= 2
    }
    return false
  }
}
