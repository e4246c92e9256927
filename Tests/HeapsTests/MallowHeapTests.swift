// The reader finds every block of a heap that was laid out by the header, and tells live from free.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct MallowHeapTests {
  @Test func emptyHeapHasNoBlocks() throws {
    let heap = try BuiltHeap().read()
    #expect(heap.heap.numberLimit == 0)
    #expect(heap.heap.block(containing: Address(0x7f00_0001_0000)) == nil)
    #expect(heap.statistics.live == BlockCount())
    #expect(heap.diagnoses.isEmpty)
  }

  @Test(arguments: [false, true]) func freeBlocksOfAllListsAreFree(hardened: Bool) throws {
    let built = BuiltHeap(hardened: hardened)
    let blocks = (0..<10).map { _ in built.allocate(48) }
    built.free(blocks[1], to: .free)
    built.free(blocks[2], to: .free)
    built.free(blocks[4], to: .free)
    built.free(blocks[7], to: .remote)
    built.free(blocks[8], to: .remote)
    let read = try built.read()
    #expect(read.diagnoses.isEmpty)
    let live = read.heap.blocks.filter { $0.state == .live }.map(\.start)
    #expect(live == [0, 3, 5, 6, 9].map { blocks[$0] })
    #expect(read.heap.blocks.map(\.start) == blocks)
    #expect(read.statistics.live == BlockCount(blocks: 5, bytes: 240))
    #expect(read.statistics.free == BlockCount(blocks: 5, bytes: 240))
    #expect(read.statistics.freeInUsedPages == 240)
    #expect(read.statistics.uncarved == (1365 - 10) * 48)
    #expect(read.statistics.allocations == 10)
    #expect(read.statistics.frees == 5)
    #expect(read.isHardened == hardened)
  }

  @Test func blocksInPartsThatWereGivenBackAreFree() throws {
    let built = BuiltHeap()
    let blocks = (0..<300).map { _ in built.allocate(48) }
    // Bytes 4096..<8192: blocks 85 to 170, of which the first and the last reach into the parts beside it.
    built.giveBack(part: 1, of: blocks[0], blocks: 86)
    built.free(blocks[3])
    let read = try built.read()
    #expect(read.diagnoses.isEmpty)
    let live = read.heap.blocks.filter { $0.state == .live }.map(\.start)
    #expect(live == blocks.indices.filter { $0 != 3 && !(85...170).contains($0) }.map { blocks[$0] })
  }

  @Test func blocksThatWereGrantedButNotTakenAreNoAllocations() throws {
    let built = BuiltHeap()
    let blocks = (0..<10).map { _ in built.allocate(48) }
    built.free(blocks[1])
    built.free(blocks[2])
    built.edit(mallow_page.self, at: built.descriptor(of: blocks[0])) { $0.budget = 2 }
    #expect(try built.read().statistics.allocations == 8)
    built.edit(mallow_page.self, at: built.descriptor(of: blocks[0])) { $0.budget = -1 }
    #expect(try built.read().statistics.allocations == 10)
  }

  @Test func quarantinedBlocksAreFree() throws {
    let built = BuiltHeap(hardened: true)
    let blocks = (0..<3).map { _ in built.allocate(64) }
    built.editHeap { $0.quarantine.5 = blocks[1].rawValue }
    let read = try built.read()
    #expect(read.heap.blocks.map(\.state) == [.live, .free, .live])
    built.editHeap { $0.quarantine.5 = blocks[1].rawValue + 8 }
    #expect(try built.read().diagnoses.map(\.part) == [.quarantine])
  }

  @Test func interiorAddressesFindTheirBlock() throws {
    let built = BuiltHeap()
    var blocks: [(Address, UInt64)] = []
    for size in [16, 48, 112, 1280, 8192, 10240, 65536] as [UInt64] {
      for _ in 0..<9 { blocks.append((built.allocate(size), size)) }
    }
    let span = built.allocateSpan(slices: 5, requested: 300_000)
    let huge = built.allocateHuge(200 << 20)
    let aligned = built.allocateAligned(70 << 20)
    blocks += [(span, 5 << 16), (huge, 200 << 20), (aligned, 70 << 20)]
    let heap = try built.read().heap
    for (start, size) in blocks {
      for offset in [0, 1, size / 2, size - 1] {
        let found = try #require(heap.block(containing: start + offset))
        #expect(heap.address(of: found) == start)
        #expect(heap.usableSize(of: found) == size)
        #expect(heap.block(number: heap.number(of: found)) == found)
      }
    }
    #expect(heap.block(containing: span + (5 << 16)) == nil)
    #expect(heap.block(containing: huge - 1) == nil)
    #expect(heap.block(containing: huge + (200 << 20)) == nil)
    #expect(heap.block(containing: aligned + (70 << 20)) == nil)
    #expect(heap.block(containing: Address(0)) == nil)
    #expect(heap.block(containing: Address(.max)) == nil)
    #expect(heap.blocks.filter { $0.kind == .span }.map(\.requested) == [300_000])
    #expect(heap.blocks.filter { $0.kind == .huge }.map(\.requested) == [200 << 20, 70 << 20])
  }

  @Test func trailersTellOfTheAllocation() throws {
    let built = BuiltHeap()
    let stack = built.addStack([0x1000, 0x2000, 0x3000], allocations: 5, bytes: 500, frees: 2, freedBytes: 200)
    let other = built.addStack([0x1000 + 16384, 0x4000])
    let block = built.allocate(112, stack: stack, requested: 90)
    built.allocate(112, trailer: true)
    let span = built.allocateSpan(slices: 1, requested: 40_000, stack: other)
    let read = try built.read()
    let described = read.heap.describe(try #require(read.heap.block(containing: block)))
    #expect(described.size == 96)
    #expect(described.requested == 90)
    #expect(described.stack == stack)
    #expect(described.milliseconds == 12)
    let plain = read.heap.describe(try #require(read.heap.block(containing: block + 112)))
    #expect(plain.requested == nil)
    #expect(plain.stack == nil)
    #expect(read.heap.describe(try #require(read.heap.block(containing: span))).stack == other)
    let record = try #require(read.stacks[stack])
    #expect(record.frames == [0x1000, 0x2000, 0x3000].map { Address($0) })
    #expect(record.liveBlocks == 3)
    #expect(record.liveBytes == 300)
    #expect(read.stacks.records.map(\.id) == [stack, other])
  }

  @Test func theAllocatorsOwnMemoryIsKnown() throws {
    let built = BuiltHeap()
    let block = built.allocate(64)
    let huge = built.allocateHuge(1 << 20)
    let ranges = try built.read().heapRanges
    for address in [block, huge, built.metadata, Address(0x7ffd_0000_0000), Address(0x7ffb_0000_0000)] {
      #expect(ranges.contains { $0.contains(address) })
    }
    #expect(!ranges.contains { $0.contains(built.introspection) })
  }

  @Test func retainedSlicesAreCounted() throws {
    let built = BuiltHeap()
    built.allocate(64)
    built.edit(mallow_region.self, at: built.newestRegion) {
      $0.free.0 = 0b1111_0000
      $0.dirty.0 = 0b1010_1111
    }
    #expect(try built.read().statistics.retained == 2 << 16)
  }

  @Test func emptyPagesAreCounted() throws {
    let built = BuiltHeap()
    built.free(built.allocate(1024))
    built.free(built.allocate(1024), to: .remote)
    let statistics = try built.read().statistics
    #expect(statistics.emptyPages == 1)
    #expect(statistics.emptyPageBytes == 2048)
    #expect(statistics.freeInUsedPages == 0)
  }

  @Test func aPageStoppedInTheMiddleOfARefillIsNoDamage() throws {
    let built = BuiltHeap()
    let blocks = (0..<6).map { _ in built.allocate(48) }
    for block in blocks[2...] { built.free(block) }
    // Both lists lead to the same blocks, and the list has a block that is not yet counted as carved.
    built.edit(mallow_page.self, at: built.descriptor(of: blocks[0])) {
      $0.remote_free = $0.free
      $0.carved = 5
    }
    built.editHeap { $0.in_slow_path = 1 }
    let read = try built.read()
    #expect(read.diagnoses.isEmpty)
    #expect(read.heap.blocks.map(\.state) == [.live, .live, .free, .free, .free])
    built.editHeap { $0.in_slow_path = 0 }
    #expect(try built.read().diagnoses.map(\.part) == [.freeList])
  }

  @Test(arguments: [false, true]) func blocksOfAListThatIsJustTakenOverAreFree(hardened: Bool) throws {
    let built = BuiltHeap(hardened: hardened)
    let blocks = (0..<6).map { _ in built.allocate(48) }
    for block in blocks[1...3] { built.free(block, to: .remote) }
    built.edit(mallow_page.self, at: built.descriptor(of: blocks[0])) { $0.remote_free = 0 }
    built.editHeap { $0.in_slow_path = 1 }
    #expect(try built.read().heap.blocks.map(\.state) == [.live, .free, .free, .free, .live, .live])
    built.editHeap {
      $0.in_slow_path = 0
      $0.state = UInt64(MALLOW_HEAP_CLAIMED)
    }
    #expect(try built.read().statistics.live.blocks == 3)
    // Elsewhere such a word is the program's.
    built.editHeap { $0.state = UInt64(MALLOW_HEAP_LIVE) }
    #expect(try built.read().statistics.live.blocks == 6)
  }
}
