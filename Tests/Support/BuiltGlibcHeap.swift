// Lays out a heap in a built image as glibc's malloc does, of several versions, from its published sources' structures.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// A glibc heap in plain memory: a main arena, blocks carved from it in order, and what a test adds.
public final class BuiltGlibcHeap {
  /// What differs between versions.
  public struct Version: Sendable, CustomStringConvertible {
    public var description: String
    /// Bytes of a thread's cache's counters: 1 up to 2.29, 2 since.
    public var counterSize: UInt64
    public var hasSafeLinking: Bool
    /// `have_fastchunks` in arenas: since 2.27.
    public var hasFastFlag = true
    /// Huge pages in `malloc_par` and the page size in `heap_info`: since 2.35.
    public var hasHugePages: Bool

    public static let all = [
      Version(description: "2.26", counterSize: 1, hasSafeLinking: false, hasFastFlag: false, hasHugePages: false),
      Version(description: "2.28", counterSize: 1, hasSafeLinking: false, hasHugePages: false),
      Version(description: "2.31", counterSize: 2, hasSafeLinking: false, hasHugePages: false),
      Version(description: "2.33", counterSize: 2, hasSafeLinking: true, hasHugePages: false),
      Version(description: "2.36", counterSize: 2, hasSafeLinking: true, hasHugePages: true),
    ]
  }

  public let version: Version
  public let image = BuiltImage()
  /// libc's writable data.
  public let data = Address(0x7f80_0000_0000)
  public let base = Address(0x5500_0000_1000)
  public let heapSize: UInt64
  public let bins: Address
  /// Where the next chunk is cut.
  public private(set) var top: Address
  private var mappedCount: Int32 = 0
  private var mappedBytes: UInt64 = 0

  public var state: Address { bins - (version.hasFastFlag ? 112 : 104) }
  private var parameters: Address { data + 0x300 }

  /// - Parameter size: bytes of the main arena's memory.
  public init(_ version: Version, size: UInt64 = 1 << 20) {
    self.version = version
    heapSize = size
    bins = data + 0x1000 + 112
    top = base
    image.map(data.rawValue, size: 0x4000, name: "/usr/lib/libc.so.6", inode: 3)
    image.map(base.rawValue, size: size, name: "[heap]")
    writeArena(bins, next: state)
    writeParameters()
    setTop(base)
  }

  /// Writes the bins and the fields behind them.
  public func writeArena(_ bins: Address, next: Address) {
    for index in 0..<127 as Range<UInt64> {
      let own = (bins + index * 16 - 16).rawValue
      image.write(words: [own, own], at: bins + index * 16)
    }
    image.write(words: [0, 0, next.rawValue, 0, 1, heapSize, heapSize], at: bins + 127 * 16)
  }

  private func writeParameters() {
    image.write(words: [128 << 10, 128 << 10, 128 << 10, 8, 0], at: parameters)
    var counters = parameters + 40
    if version.hasHugePages {
      image.write(words: [0, 0], at: counters)
      counters = counters + 20
    }
    image.write(mappedCount, at: counters)
    image.write(Int32(65536), at: counters + 4)
    image.write(mappedCount, at: counters + 8)
    let rest = version.hasHugePages ? parameters + 80 : parameters + 56
    image.write(words: [mappedBytes, mappedBytes, base.rawValue, 64, 1032, 7, 0], at: rest)
  }

  private func setTop(_ address: Address) {
    top = address
    image.write(address.rawValue, at: bins - 16)
    image.write((base + heapSize - address) | 1, at: address + 8)
  }

  /// Cuts a chunk from the top and returns its block.
  @discardableResult
  public func allocate(chunk size: UInt64) -> Address {
    let chunk = top
    image.write(size | 1, at: chunk + 8)
    setTop(chunk + size)
    return chunk + 16
  }

  /// Puts a block into the unsorted bin. The block after it must be in use.
  public func free(_ block: Address) {
    let chunk = block - 16
    let size = image.load(chunk + 8, as: UInt64.self)! & ~7
    let own = (bins - 16).rawValue
    image.write(words: [own, own], at: block)
    image.write(words: [chunk.rawValue, chunk.rawValue], at: bins)
    image.write(size, at: chunk + size)
    image.write(image.load(chunk + size + 8, as: UInt64.self)! & ~1, at: chunk + size + 8)
  }

  /// Links blocks of one size, which may go on in `end`, and returns the head of the list.
  private func link(_ blocks: [Address], offset: UInt64, end: UInt64 = 0) {
    for (index, block) in blocks.enumerated() {
      let next = index + 1 < blocks.count ? (blocks[index + 1] - offset).rawValue : end
      image.write(version.hasSafeLinking ? next ^ block.rawValue >> 12 : next, at: block)
    }
  }

  /// Puts blocks of one size on the main arena's fast list of that size.
  public func setFastbin(_ blocks: [Address], chunk size: UInt64, end: UInt64 = 0) {
    link(blocks, offset: 16, end: end)
    image.write((blocks[0] - 16).rawValue, at: bins - 96 + (size / 16 - 2) * 8)
  }

  /// Makes the record of a thread's cache.
  public func allocateThreadCache() -> Address { allocate(chunk: 64 * (version.counterSize + 8) + 16) }

  /// Puts blocks of one size into a thread's cache.
  public func setThreadCache(_ cache: Address, _ blocks: [Address], chunk size: UInt64) {
    link(blocks, offset: 0)
    let index = size / 16 - 2
    if version.counterSize == 2 {
      image.write(UInt16(blocks.count), at: cache + index * 2)
    } else {
      image.write(UInt8(blocks.count), at: cache + index)
    }
    image.write(blocks[0].rawValue, at: cache + 64 * version.counterSize + index * 8)
  }

  /// Writes the header of a block with a mapping of its own, as for an allocation with an alignment where `lead` is not 0.
  @discardableResult
  public func setMapped(_ mapping: Address, size: UInt64, lead: UInt64 = 0) -> Address {
    image.write(words: [0, size | 2], at: mapping)
    if lead > 0 { image.write(words: [lead, (size - lead) | 2], at: mapping + lead) }
    mappedCount += 1
    mappedBytes += size
    writeParameters()
    return mapping + lead + 16
  }

  /// Adds an arena with one heap at a multiple of 64 MiB; its chunks are written by `body`, which returns where its top is.
  public func addArena(_ heap: Address, size: UInt64, _ body: (_ firstChunk: Address) -> Address) {
    image.map(heap.rawValue, size: size)
    let infoSize: UInt64 = version.hasHugePages ? 48 : 32
    let arena = heap + infoSize
    let arenaBins = arena + (bins - state)
    image.write(words: [arena.rawValue, 0, size, size], at: heap)
    writeArena(arenaBins, next: state)
    image.write(arena.rawValue, at: bins + 127 * 16 + 16)
    let first = Address((arenaBins.rawValue + 127 * 16 + 56 + 15) & ~15)
    let top = body(first)
    image.write(top.rawValue, at: arenaBins - 16)
    image.write((heap + size - top) | 1, at: top + 8)
  }

  public func read() -> GlibcHeap? { GlibcHeap(MemoryMirror(image)) }
}
