// Every byte of a heap is of one part, and only resident ones count.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct HeapOccupancyTests {
  private func pages(_ start: Address, _ numbers: Range<UInt64>) -> Range<Address> {
    start + numbers.lowerBound * 4096..<start + numbers.upperBound * 4096
  }

  @Test func liveAndFreeBlocksShareAPageByBytes() throws {
    let built = BuiltHeap()
    let blocks = (0..<100).map { _ in built.allocate(64) }
    for block in blocks[10..<40] { built.free(block) }
    let heap = try built.read()
    // One page of 64 blocks is resident: the 36 blocks after it are not.
    let found = HeapOccupancy(heap, resident: [pages(blocks[0], 0..<1)])
    #expect(found[.live] == PartOccupancy(blocks: 70, bytes: 70 * 64, resident: 34 * 64))
    #expect(found[.freeInPages].resident == 30 * 64)
    #expect(found[.freeInPages].bytes == 65536 - 70 * 64)
    #expect(found[.emptyPages].resident == 0)
    #expect(found[.metadata].resident == 0)
    #expect(found.resident == 4096)
    #expect(found.sizes.count == 1)
    #expect(found.sizes[0].size == 64)
    #expect(found.sizes[0].live.blocks == 70)
    #expect(found.sizes[0].free == PartOccupancy(blocks: 30, bytes: 30 * 64, resident: 30 * 64))
  }

  @Test func largeBlocksCountOnlyTheirResidentPart() throws {
    let built = BuiltHeap()
    let span = built.allocateSpan(slices: 4, requested: 250_000)
    let huge = built.allocateHuge(100 << 20)
    let found = HeapOccupancy(try built.read(), resident: [pages(span, 3..<5), pages(huge - 65536, 0..<1), pages(huge, 100..<110)])
    #expect(found[.live].blocks == 2)
    #expect(found[.live].resident == 12 * 4096)
    #expect(found[.metadata].resident == 4096)
    #expect(found.resident == 13 * 4096)
  }

  @Test func pagesWithoutALiveBlockAndFreeSlicesAreEmptyPages() throws {
    let built = BuiltHeap()
    let block = built.allocate(64)
    built.free(block)
    // The page's first page of the kernel, and the one after its slice.
    let found = HeapOccupancy(try built.read(), resident: [pages(block, 0..<1), pages(block, 16..<17)])
    #expect(found[.emptyPages].resident == 8192)
    #expect(found[.live] == PartOccupancy())
  }

  @Test func largeSizesAreOfFewClasses() throws {
    let built = BuiltHeap(slicesPerRegion: 32)
    _ = built.allocateSpan(slices: 17, requested: 1_100_000)
    _ = built.allocateSpan(slices: 8, requested: 500_000)
    _ = built.allocate(1024)
    let found = HeapOccupancy(try built.read(), resident: [])
    #expect(found.sizes.map(\.size) == [1024, 512 << 10, 18 << 16])
    #expect(found.sizes.map(\.live.blocks) == [1, 1, 1])
  }

  @Test func trailersAreMetadata() throws {
    let built = BuiltHeap()
    let block = built.allocate(96, requested: 70)
    let found = HeapOccupancy(try built.read(), resident: [pages(block, 0..<16)])
    #expect(found[.live].resident == 80)
    #expect(found[.metadata].resident == 16)
    #expect(found.resident == 65536)
  }

  /// Random heaps with random pages resident, against a look at each byte.
  @Test(arguments: 0..<16 as Range<UInt64>) func agreesWithALookAtEachByte(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let built = BuiltHeap.small(&random)
    if seed % 4 == 3 { built.damage(&random) }
    guard let heap = try? built.read() else { return }
    // The tables are large: the first part of each range has all that is told apart.
    let sample = heap.heapRanges.map { $0.lowerBound..<min($0.upperBound, $0.lowerBound + (1 << 19)) }
    var resident: [Range<Address>] = []
    for range in sample {
      var page = Address(range.lowerBound.rawValue & ~4095)
      while page < range.upperBound {
        if Bool.random(using: &random) { resident.append(page..<page + 4096) }
        page = page + 4096
      }
    }
    let found = HeapOccupancy(heap, resident: resident)
    var bytes = [HeapPart: UInt64]()
    for range in resident {
      var address = range.lowerBound
      while address < range.upperBound {
        if let part = part(of: address, in: heap) { bytes[part, default: 0] += 8 }
        address = address + 8
      }
    }
    for part in HeapPart.allCases { #expect(found[part].resident == bytes[part] ?? 0, "\(part), seed \(seed)") }
    #expect(found.unreached == 0)
    #expect(found[.live].blocks == heap.heap.live.count || seed % 4 == 3)
    #expect(found.sizes.reduce(0) { $0 + $1.live.blocks } == found[.live].blocks)
  }

  /// What a word is, found without the walk.
  private func part(of address: Address, in heap: MallowHeap) -> HeapPart? {
    guard heap.heapRanges.contains(where: { $0.contains(address) }) else { return nil }
    if heap.metadataRanges.contains(where: { $0.contains(address) }) { return .metadata }
    guard let page = heap.heap.pages.last(where: { $0.start <= address }),
      address < page.start + (UInt64(page.capacity) * page.blockSize + 65535) & ~65535
    else { return .emptyPages }
    let hasLive = page.blockNumbers.contains { heap.heap.live.contains($0) }
    guard let block = heap.heap.block(containing: address), heap.heap.isLive(block) else {
      return hasLive ? .freeInPages : .emptyPages
    }
    return address - heap.heap.address(of: block) >= page.usableSize ? .metadata : .live
  }
}
