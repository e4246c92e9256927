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
    built.editIntrospection { $0.version = 1; $0.size = 8 }
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
    #expect(read.heap.blockCount == 2)
  }

  @Test func impossibleDescriptorsAreLeftOut() throws {
    let built = BuiltHeap()
    let damages: [(inout mallow_page) -> Void] = [
      { $0.block_size = 0 }, { $0.block_size = 65552 }, { $0.block_size = 50 }, { $0.carved = $0.capacity + 1 },
      { $0.capacity = .max; $0.carved = 9 }, { $0.slices = 0 }, { $0.slices = 900 },
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
    #expect(read.heap.blockCount == 0)
  }

  /// Damages a heap in thousands of ways; whatever is read must hold together.
  @Test(arguments: 0..<8) func randomDamageNeverTraps(seed: Int) throws {
    for round in 0..<250 {
      var random = SeededGenerator(seed: UInt64(seed * 1000 + round))
      let built = smallHeap(&random)
      damage(built, &random)
      guard let read = try? built.read() else { continue }
      checkConsistency(read)
    }
  }

  func smallHeap(_ random: inout SeededGenerator) -> BuiltHeap {
    let built = BuiltHeap(hardened: Bool.random(using: &random), slicesPerRegion: 6)
    let stack = built.addStack([0x1000, 0x2000], allocations: 4, bytes: 400)
    _ = built.addStack([0x5000, 0x2000, 0x9000])
    var blocks: [Address] = []
    for _ in 0..<30 {
      let size = [16, 48, 96, 4096].randomElement(using: &random)!
      let withStack = size >= 96 && Bool.random(using: &random)
      blocks.append(built.allocate(UInt64(size), stack: withStack ? stack : nil))
    }
    for block in blocks where Int.random(in: 0..<3, using: &random) == 0 {
      built.free(block, to: [.free, .local, .remote].randomElement(using: &random)!)
    }
    _ = built.allocateSpan(slices: 2, requested: 100_000, stack: stack)
    _ = built.allocateHuge(300_000)
    return built
  }

  func damage(_ built: BuiltHeap, _ random: inout SeededGenerator) {
    let interesting: [UInt64] = [
      0, 1, .max, 1 << 63, 1 << 47, 0x7f00_0000_0000, 0x7f00_0001_0000, 0x7f00_0001_0010, 0x7ffe_0000_0010,
      built.introspection.rawValue, built.newestRegion.rawValue,
    ]
    let places: [(Address, UInt64)] = [
      (built.introspection + 16, 128), (built.metadata, 9000), (built.metadata + 65536, 4096),
      (Address(0x7f00_0000_0000), 6 * 64), (Address(0x7f00_0001_0000), 3 << 16), (Address(0x7ffd_0000_0000), 256),
      (Address(0x7ffc_0000_0000), 65536),
    ]
    for _ in 0..<Int.random(in: 1...12, using: &random) {
      let (start, size) = places.randomElement(using: &random)!
      let address = start + UInt64.random(in: 0..<size - 8, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: built.image.write(UInt8.random(in: .min ... .max, using: &random), at: address)
      case 1: built.image.write(interesting.randomElement(using: &random)!, at: Address(address.rawValue & ~7))
      case 2: built.image.write(UInt64.random(in: .min ... .max, using: &random), at: address)
      default:
        let byte = built.image.load(address, as: UInt8.self)!
        built.image.write(byte ^ 1 << UInt8.random(in: 0..<8, using: &random), at: address)
      }
    }
    if Int.random(in: 0..<8, using: &random) == 0 {
      built.image.unmap(at: Int.random(in: 0..<built.image.mappings.count, using: &random))
    }
    if Int.random(in: 0..<8, using: &random) == 0 {
      built.image.unreadablePages.insert(Address(places.randomElement(using: &random)!.0.rawValue & ~4095))
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
    #expect(number == heap.blockCount)
    #expect(live == read.statistics.live)
    #expect(read.statistics.free.blocks == number - live.blocks)
    #expect(read.statistics.allocations >= read.statistics.frees)
    #expect(read.diagnoses.count <= 64)
    for (a, b) in zip(read.heapRanges, read.heapRanges.dropFirst()) { #expect(a.upperBound < b.lowerBound) }
  }
}
