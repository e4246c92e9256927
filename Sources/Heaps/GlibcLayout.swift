// Where things lie in the structures of glibc's malloc, 2.26 to 2.41 on x86-64.
// SPDX-License-Identifier: Apache-2.0

/// Offsets and sizes in bytes. The names are those of glibc's malloc/malloc.c and malloc/arena.c.
enum GlibcLayout {
  /// A chunk's header: the size of the free chunk before it, then its own with three flags. The block follows.
  static let headerSize: UInt64 = 16
  static let smallestChunk: UInt64 = 32
  static let flags: UInt64 = 7
  /// In a chunk's size: the chunk before it is in use.
  static let previousInUse: UInt64 = 1
  /// In a chunk's size: it has a mapping of its own.
  static let isMapped: UInt64 = 2
  /// The size of the pieces that end a stretch of memory which nothing follows.
  static let fencepost: UInt64 = 16

  /// `malloc_state`: pairs of pointers, one for each bin. The other fields are given by their distance to the first pair.
  static let binCount: UInt64 = 127
  static let binsSize = binCount * 16
  static let fastbinCount: UInt64 = 10
  static let fastbinsBeforeBins: UInt64 = 16 + fastbinCount * 8
  static let topBeforeBins: UInt64 = 16
  /// The structure's start, with `have_fastchunks` (2.27 and later) and without.
  static let startsBeforeBins: [UInt64] = [fastbinsBeforeBins + 16, fastbinsBeforeBins + 8]
  static let nextAfterBins = binsSize + 16
  static let systemMemoryAfterBins = nextAfterBins + 24
  static let endAfterBins = systemMemoryAfterBins + 16

  /// `heap_info`, at the start of each heap of an arena that is not the main one: the arena, the heap before, its size.
  static let heapPrevious: UInt64 = 8
  static let heapSize: UInt64 = 16
  /// The alignment of heaps: 64 MiB, or four huge pages where malloc uses those.
  static let heapAlignments: [UInt64] = [64 << 20, 8 << 20, 4 << 30, 32 << 20]

  /// `tcache_perthread_struct`: counters of one or two bytes, then a list for each size.
  static let threadCacheBins = 64
  static func threadCacheChunk(counterSize: Int) -> UInt64 { UInt64(threadCacheBins * (counterSize + 8)) + headerSize }

  /// The size of the chunks on fast list or thread's list number `index`.
  static func chunkSize(ofList index: Int) -> UInt64 { UInt64(index + 2) * 16 }
}
