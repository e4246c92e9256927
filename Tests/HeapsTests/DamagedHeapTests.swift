// A damaged heap gives diagnoses, and what can't be read at all one plain sentence.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct DamagedHeapTests {
  func message(_ built: BuiltHeap, at address: Address? = nil) -> String {
    do {
      _ = try MallowHeap(MemoryMirror(built.image), introspection: address ?? built.introspection)
      return "read"
    } catch {
      return "\(error)"
    }
  }

  @Test func wrongRecordsAreRefusedInOneSentence() {
    let built = BuiltHeap()
    #expect(message(built, at: Address(0x1000)).contains("can't be read"))
    built.editIntrospection { $0.version = 9 }
    #expect(message(built).contains("a newer version"))
    built.editIntrospection { $0.version = 0 }
    #expect(message(built).contains("an older version"))
    built.editIntrospection { $0.version = UInt32(MALLOW_LAYOUT_VERSION); $0.size = 8 }
    #expect(message(built).contains("8 bytes long"))
    built.editIntrospection { $0.magic = 0x1234 }
    #expect(message(built).contains("does not run on Mallow"))
    built.editIntrospection { $0.magic = 0 }
    #expect(message(built).contains("has not started"))
  }

  @Test func aListThatLeavesItsPageIsNoted() throws {
    let built = BuiltHeap()
    let blocks = (0..<3).map { _ in built.allocate(48) }
    built.free(blocks[0])
    built.free(blocks[1])
    built.image.write(UInt64(0x4141_4141_4141), at: blocks[1])
    let read = try built.read()
    #expect(read.diagnoses.map(\.part) == [.freeList])
    #expect(read.diagnoses[0].description.contains("leaves the page, to 0x414141414141"))
    #expect(read.statistics.live.blocks == 2)
  }

  @Test func aListIntoTheMiddleOfABlockIsNoted() throws {
    let built = BuiltHeap()
    let block = built.allocate(48)
    built.allocate(48)
    built.free(block)
    built.image.write(block.rawValue + 64, at: block)
    #expect(try built.read().diagnoses.map(\.description).first?.contains("middle of a block") == true)
  }

  @Test func aListWithALoopEnds() throws {
    let built = BuiltHeap()
    let blocks = (0..<3).map { _ in built.allocate(48) }
    for block in blocks { built.free(block) }
    built.image.write(blocks[2].rawValue, at: blocks[0])
    let read = try built.read()
    #expect(read.diagnoses.map(\.description).first?.contains("free twice") == true)
    #expect(read.statistics.live.blocks == 0)
  }

  @Test func loopsInTheListsOfRegionsAndHeapsEnd() throws {
    let built = BuiltHeap()
    built.allocate(48)
    _ = built.allocateHuge(1 << 20)
    let newest = built.newestRegion
    built.edit(mallow_region.self, at: newest - 1024) { $0.next = newest.rawValue }
    built.editHeap { $0.next = built.metadata.rawValue + 16 }
    built.image.write(built.metadata.rawValue, at: built.metadata)
    let read = try built.read()
    #expect(Set(read.diagnoses.map(\.part)).isSuperset(of: [.region, .threadHeap, .metadata]))
    #expect(read.heap.numberLimit == 2)
  }

  @Test func impossibleDescriptorsAreLeftOut() throws {
    let built = BuiltHeap()
    let damages: [(inout mallow_page) -> Void] = [
      { $0.size_class = 80 }, { $0.size_class = 0; $0.owner |= UInt64(MALLOW_OWNER_TRAILER) }, { $0.size_class = 255 }, { $0.carved = 4097 },
      { $0.start += 16 }, { $0.kind = UInt8(MALLOW_PAGE_SPAN); $0.slices = 0 }, { $0.kind = UInt8(MALLOW_PAGE_SPAN); $0.slices = 900 },
    ]
    for (index, damage) in damages.enumerated() {
      let block = built.allocate(UInt64(16 * (index + 1)))
      built.edit(mallow_page.self, at: built.descriptor(of: block), damage)
    }
    let intact = built.allocate(1024)
    let read = try built.read()
    #expect(read.diagnoses.count == damages.count)
    #expect(read.heap.blocks.map(\.start) == [intact])
  }

  @Test func regionsThatAreNotMappedAreLeftOut() throws {
    let built = BuiltHeap()
    built.allocate(48)
    built.edit(mallow_region.self, at: built.newestRegion) { $0.mapped = 64 << 20 }
    let read = try built.read()
    #expect(read.diagnoses.map(\.part) == [.region])
    #expect(read.heap.numberLimit == 0)
  }

  /// Damages a heap in thousands of ways; whatever is read must hold together.
  @Test(arguments: 0..<8) func randomDamageNeverTraps(seed: Int) throws {
    for round in 0..<250 {
      var random = SeededGenerator(seed: UInt64(seed * 1000 + round))
      let built = BuiltHeap.small(&random)
      built.damage(&random)
      guard let read = try? built.read() else { continue }
      checkConsistency(read)
    }
  }

  func checkConsistency(_ read: MallowHeap) {
    let heap = read.heap
    var end = Address(0)
    var number = 0
    var live = BlockCount()
    for block in heap.blocks {
      #expect(block.start >= end)
      end = block.end
      #expect(heap.number(of: block.index) == number)
      #expect(heap.block(containing: block.start) == block.index)
      #expect(heap.block(containing: block.end - 1) == block.index)
      #expect((block.requested ?? 0) <= block.size)
      number += 1
      if block.state == .live { live += BlockCount(blocks: 1, bytes: block.size) }
    }
    #expect(number == heap.numberLimit)
    #expect(live == read.statistics.live)
    #expect(read.statistics.free.blocks == number - live.blocks)
    #expect(read.statistics.allocations >= read.statistics.frees)
    #expect(read.diagnoses.count <= 64)
    for (a, b) in zip(read.heapRanges, read.heapRanges.dropFirst()) { #expect(a.upperBound < b.lowerBound) }
  }
}
