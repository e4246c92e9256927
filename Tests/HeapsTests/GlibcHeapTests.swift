// glibc's heap is read by structure, whatever the version.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct GlibcHeapTests {
  typealias Version = BuiltGlibcHeap.Version

  func live(_ heap: GlibcHeap) -> [Address] { heap.heap.blocks.filter { $0.state == .live }.map(\.start) }

  @Test(arguments: Version.all) func everyListIsFree(version: Version) throws {
    let built = BuiltGlibcHeap(version)
    let cache = built.allocateThreadCache()
    let cached = (0..<3).map { _ in built.allocate(chunk: 48) }
    let fast = (0..<4).map { _ in built.allocate(chunk: 32) }
    let binned = built.allocate(chunk: 1600)
    let held = [48, 32, 1600, 200_000].map { built.allocate(chunk: $0) }
    built.free(binned)
    built.setFastbin(fast, chunk: 32)
    built.setThreadCache(cache, cached, chunk: 48)
    let read = try #require(built.read())
    #expect(read.diagnoses.isEmpty)
    #expect(live(read) == held)
    #expect(read.heap.blocks.filter { $0.state == .live }.map(\.size) == [40, 24, 1592, 199_992])
    #expect(read.hasSafeLinking == version.hasSafeLinking)
    func kinds(_ blocks: [Address]) -> [GlibcHeap.FreeKind?] { blocks.map { read.freeKind(of: read.heap.block(containing: $0)!) } }
    #expect(kinds(cached) == [.threadCache, .threadCache, .threadCache])
    #expect(kinds(fast) == [.fastbin, .fastbin, .fastbin, .fastbin])
    #expect(kinds([binned, cache, held[0]]) == [.bin, .metadata, nil])
    #expect(read.statistics.live == BlockCount(blocks: 4, bytes: 40 + 24 + 1592 + 199_992))
    #expect(read.statistics.free.blocks == 8)
    #expect(read.arenas.map(\.isMain) == [true])
    #expect(read.arenas[0].top == built.top..<built.base + built.heapSize)
    #expect(read.heapRanges.contains { $0.contains(built.bins) })
  }

  @Test(arguments: Version.all) func addressesAreFoundInBlocks(version: Version) throws {
    let built = BuiltGlibcHeap(version)
    let blocks = [32, 48, 131_072 - 16, 131_072, 262_144, 32, 4096].map { built.allocate(chunk: UInt64($0)) }
    let heap = try #require(built.read()).heap
    for (block, next) in zip(blocks, blocks.dropFirst() + [built.top + 16]) {
      for address in [block, block + 8, next - 9, next - 8, next - 1] {
        let found = try #require(heap.block(containing: address))
        #expect(heap.address(of: found) == block)
        #expect(heap.usableSize(of: found) == next - block - 8)
        #expect(heap.block(number: heap.number(of: found)) == found)
      }
    }
    #expect(heap.block(containing: blocks[0] - 1) == nil)
    #expect(heap.block(containing: built.top + 16) == nil)
  }

  @Test(arguments: Version.all) func otherArenasAreFollowed(version: Version) throws {
    let built = BuiltGlibcHeap(version)
    let own = built.allocate(chunk: 64)
    var others: [Address] = []
    built.addArena(Address(0x7f00_0400_0000), size: 132 << 10) { first in
      for index in 0..<3 as Range<UInt64> {
        built.image.write(UInt64(96 | 5), at: first + index * 96 + 8)
        others.append(first + index * 96 + 16)
      }
      return first + 288
    }
    let read = try #require(built.read())
    #expect(read.diagnoses.isEmpty)
    #expect(live(read) == [own] + others)
    #expect(read.arenas.map(\.isMain) == [true, false])
    #expect(read.arenas[1].ranges == [Address(0x7f00_0400_0000)..<Address(0x7f00_0402_1000)])
  }

  @Test(arguments: Version.all) func blocksWithMappingsOfTheirOwnAreFound(version: Version) throws {
    let built = BuiltGlibcHeap(version)
    built.image.map(0x7e00_0000_0000, size: 1 << 20)
    built.image.map(0x7e10_0000_0000, size: 1 << 20)
    // Two that the kernel joined into one mapping, the second one aligned, and one that lies behind memory of the program.
    let blocks = [
      built.setMapped(Address(0x7e00_0000_0000), size: 0x21000), built.setMapped(Address(0x7e00_0002_1000), size: 0x30000, lead: 0x3f0),
      built.setMapped(Address(0x7e10_0001_0000), size: 0x2000),
    ]
    let read = try #require(built.read())
    #expect(read.diagnoses.isEmpty)
    #expect(live(read) == blocks)
    #expect(read.heap.blocks.map(\.size) == [0x20ff0, 0x30000 - 0x400, 0x1ff0])
    #expect(read.mappedChunks.map(\.lowerBound) == [0x7e00_0000_0000, 0x7e00_0002_1000, 0x7e10_0001_0000].map { Address($0) })
    #expect(read.heap.block(endingAt: Address(0x7e10_0001_2000)) == nil)
  }

  @Test func memoryThatOnlyLooksLikeABlockIsLeft() throws {
    let built = BuiltGlibcHeap(Version.all[4])
    built.image.map(0x7e00_0000_0000, size: 1 << 20)
    built.image.write(words: [0, 0x4002], at: Address(0x7e00_0000_0000))
    #expect(try #require(built.read()).mappedChunks.isEmpty)
  }

  @Test func memoryBehindSomebodyElsesIsFound() throws {
    let built = BuiltGlibcHeap(Version.all[2])
    let first = built.allocate(chunk: 64)
    built.allocate(chunk: 16)
    built.allocate(chunk: 16)
    let foreign = built.allocate(chunk: 4096)
    for offset in stride(from: UInt64(0), to: 4080, by: 8) { built.image.write(UInt64.max, at: foreign - 16 + offset) }
    let second = built.allocate(chunk: 128)
    let read = try #require(built.read())
    #expect(live(read) == [first, second])
    #expect(read.arenas[0].ranges.count == 2)
  }

  @Test func anArenaThatWasNeverUsedHasNoBlocks() throws {
    let built = BuiltGlibcHeap(Version.all[4])
    built.image.write(words: [UInt64](repeating: 0, count: 254), at: built.bins)
    built.image.write(UInt64(0), at: built.bins - 16)
    let read = try #require(built.read())
    #expect(read.isUnused)
    #expect(read.heap.numberLimit == 0)
    built.image.write(UInt64(0), at: built.bins + 127 * 16 + 16)
    #expect(built.read() == nil)
  }
}

@Suite struct DamagedGlibcHeapTests {
  func built(_ version: BuiltGlibcHeap.Version = .all[4]) -> (BuiltGlibcHeap, cache: Address, blocks: [Address]) {
    let built = BuiltGlibcHeap(version)
    let cache = built.allocateThreadCache()
    return (built, cache, (0..<20).map { _ in built.allocate(chunk: 64) })
  }

  @Test func aLoopInAListEnds() throws {
    let (built, _, blocks) = built()
    built.setFastbin([blocks[3], blocks[5]], chunk: 64, end: (blocks[3] - 16).rawValue)
    let read = try #require(built.read())
    #expect(read.diagnoses.map(\.part) == [.freeList])
    #expect(read.diagnoses[0].description.contains("free already"))
    #expect(read.statistics.live.blocks == 19)
  }

  @Test func aListThatLeadsElsewhereEnds() throws {
    let (built, _, blocks) = built()
    built.setFastbin([blocks[3], blocks[5]], chunk: 64, end: 0x1234_5678)
    let read = try #require(built.read())
    #expect(read.diagnoses.map(\.part) == [.freeList])
    #expect(read.diagnoses[0].description.contains("which is none"))
  }

  @Test func anOverwrittenSizeLosesLittle() throws {
    let (built, _, blocks) = built()
    built.image.write(UInt64(0x4141_4141_4141_4141), at: blocks[7] - 8)
    let read = try #require(built.read())
    #expect(read.diagnoses.map(\.part) == [.chunk])
    #expect(read.diagnoses[0].address == blocks[7] - 16)
    // All blocks but the one whose size is lost, and the cache's record.
    #expect(read.statistics.live.blocks == 20)
  }

  @Test func aRingThatBreaksKeepsTheMainArena() throws {
    let (built, _, _) = built()
    built.image.write(UInt64(0x10), at: built.bins + 127 * 16 + 16)
    let read = try #require(built.read())
    #expect(read.diagnoses.map(\.part) == [.arena])
    #expect(read.arenas.count == 1)
    #expect(read.statistics.live.blocks == 21)
  }

  @Test(arguments: 0..<8) func randomDamageNeverTraps(seed: Int) throws {
    for round in 0..<25 {
      var random = SeededGenerator(seed: UInt64(seed * 1000 + round))
      let (built, cache, blocks) = built(BuiltGlibcHeap.Version.all.randomElement(using: &random)!)
      built.setThreadCache(cache, Array(blocks[2..<5]), chunk: 64)
      built.setFastbin(Array(blocks[6..<9]), chunk: 64)
      built.free(blocks[12])
      built.image.map(0x7e00_0000_0000, size: 1 << 20)
      built.setMapped(Address(0x7e00_0000_0000), size: 0x21000)
      built.addArena(Address(0x7f00_0400_0000), size: 132 << 10) { first in
        built.image.write(UInt64(96 | 5), at: first + 8)
        return first + 96
      }
      let places: [(Address, UInt64)] = [
        (built.data + 0x300, 128), (built.bins - 112, 2200), (cache - 16, 700), (blocks[0] - 16, 1300), (built.top, 32),
        (Address(0x7e00_0000_0000), 16), (Address(0x7f00_0400_0000), 2400),
      ]
      let words: [UInt64] = [
        0, 1, .max, 17, 0x21, 1 << 47 | 1, built.top.rawValue, built.bins.rawValue - 16, blocks[4].rawValue, 0x7f00_0400_0030,
      ]
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        let (start, size) = places.randomElement(using: &random)!
        built.image.write(words.randomElement(using: &random)!, at: start + UInt64.random(in: 0..<size / 8, using: &random) * 8)
      }
      guard let read = built.read() else { continue }
      var end = Address(0)
      var counts = BlockCount()
      for block in read.heap.blocks {
        #expect(block.start >= end)
        end = block.end
        #expect(read.heap.block(containing: block.start) == block.index)
        #expect(read.heap.block(containing: block.end - 1) == block.index)
        if block.state == .live { counts += BlockCount(blocks: 1, bytes: block.size) }
      }
      #expect(counts == read.statistics.live)
      #expect(read.diagnoses.count <= 64)
    }
  }
}
