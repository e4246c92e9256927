// Every byte of glibc's heap is of one part: blocks by their state, the top, and headers.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct GlibcOccupancyTests {
  private func resident(_ heap: GlibcHeap) -> [Range<Address>] {
    heap.heapRanges.map { Address($0.lowerBound.rawValue & ~4095)..<Address(($0.upperBound.rawValue + 4095) & ~4095) }
  }

  @Test(arguments: BuiltGlibcHeap.Version.all) func partsFillTheHeap(version: BuiltGlibcHeap.Version) throws {
    let built = BuiltGlibcHeap(version)
    let cache = built.allocateThreadCache()
    let cached = (0..<3).map { _ in built.allocate(chunk: 48) }
    let fast = (0..<4).map { _ in built.allocate(chunk: 32) }
    let binned = built.allocate(chunk: 1600)
    for size in [48, 32, 1600, 200_000] as [UInt64] { built.allocate(chunk: size) }
    built.free(binned)
    built.setFastbin(fast, chunk: 32)
    built.setThreadCache(cache, cached, chunk: 48)
    let heap = try #require(built.read())
    let found = HeapOccupancy(heap, resident: resident(heap))
    #expect(found[.live] == PartOccupancy(blocks: 4, bytes: 201_648, resident: 201_648))
    #expect(found[.tcache] == PartOccupancy(blocks: 3, bytes: 120, resident: 120))
    #expect(found[.fastbins] == PartOccupancy(blocks: 4, bytes: 96, resident: 96))
    #expect(found[.bins] == PartOccupancy(blocks: 1, bytes: 1592, resident: 1592))
    // The last block reaches into the first word of the top.
    #expect(found[.top].resident == built.base + built.heapSize - built.top - 8)
    #expect(found.resident == heap.heapRanges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) })
    #expect(found.unreached == 0)
    #expect(found.arenas.map(\.name) == ["main arena", "mmapped chunks"])
  }

  @Test func blocksThatWereNeverTouchedDoNotCount() throws {
    let built = BuiltGlibcHeap(.all[4])
    built.allocate(chunk: 64)
    let block = built.allocate(chunk: 100_000)
    let heap = try #require(built.read())
    let page = Address((block.rawValue + 8191) & ~4095)
    let found = HeapOccupancy(heap, resident: [page..<page + 4096])
    #expect(found[.live] == PartOccupancy(blocks: 2, bytes: 56 + 99_992, resident: 4096))
    #expect(found.resident == 4096)
  }

  /// What follows such memory is not told apart from it to the last word, but no byte counts twice.
  @Test func memoryOfSomebodyElseInBetweenIsLeft() throws {
    let built = BuiltGlibcHeap(.all[2])
    built.allocate(chunk: 64)
    built.allocate(chunk: 16)
    built.allocate(chunk: 16)
    let foreign = built.allocate(chunk: 4096)
    for offset in stride(from: UInt64(0), to: 4080, by: 8) { built.image.write(UInt64.max, at: foreign - 16 + offset) }
    built.allocate(chunk: 128)
    let heap = try #require(built.read())
    #expect(heap.arenas[0].ranges.count == 2)
    let found = HeapOccupancy(heap, resident: resident(heap))
    #expect(found[.live] == PartOccupancy(blocks: 2, bytes: 176, resident: 176))
    #expect(found.unreached == 0)
    #expect(found.resident == heap.heapRanges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) })
  }

  @Test func arenasAreToldApart() throws {
    let built = BuiltGlibcHeap(.all[3])
    built.allocate(chunk: 64)
    built.addArena(Address(0x7f00_0400_0000), size: 132 << 10) { first in
      for index in 0..<3 as Range<UInt64> { built.image.write(UInt64(96 | 5), at: first + index * 96 + 8) }
      return first + 288
    }
    built.image.map(0x7e00_0000_0000, size: 1 << 20)
    _ = built.setMapped(Address(0x7e00_0000_0000), size: 0x21000)
    let heap = try #require(built.read())
    let found = HeapOccupancy(heap, resident: resident(heap))
    #expect(found.arenas.map(\.name) == ["main arena", "arena 1", "mmapped chunks"])
    #expect(found.arenas.map { $0[.live].blocks } == [1, 3, 1])
    #expect(found.arenas[2][.live].resident == 0x20ff0)
    #expect(found.arenas[2][.metadata].resident == 16)
    #expect(found.unreached == 0)
    let account = Account(resident: found.resident, pages: resident(heap), areas: [], heaps: [("heap of glibc", heap.heapRanges, found)])
    #expect(Set(account.rows[0].rows.map(\.name)) == ["mmapped chunks", "arena 1", "main arena"])
    #expect(account.rows[0].rows.reduce(0) { $0 + $1.bytes } == account.rows[0].bytes)
  }
}
