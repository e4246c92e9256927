// The search finds exactly what is unreachable in heaps whose pointers are known.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import CMallow
import Heaps
import ProcessImage
import Support
import Testing

/// A heap with a data segment, a main thread and its stack.
struct Process {
  let heap: BuiltHeap
  let data = Address(0x5555_0000_0000)
  let stack = Address(0x7fff_f000_0000)
  let stackPointer = Address(0x7fff_f000_8000)
  var image: BuiltImage { heap.image }

  init(swift: Bool = false, hardened: Bool = false) {
    heap = BuiltHeap(hardened: hardened)
    heap.image.map(data.rawValue, size: 65536, name: "/usr/bin/built", inode: 3)
    heap.image.map(stack.rawValue, size: 65536, name: "[stack]")
    if swift { heap.image.map(0x7fee_0000_0000, size: 4096, writable: false, name: "/usr/lib/libswiftCore.so", inode: 4) }
    heap.image.threads = [ThreadState(threadID: 4242, stackPointer: stackPointer, threadPointer: data)]
  }

  func search(
    _ options: LeakSearch.Options = .init(), symbolizer: (any StackSymbolizing)? = nil, types: (any TypeNaming)? = nil
  ) throws -> LeakReport {
    try LeakSearch(heap.read(), options: options).run(symbolizer: symbolizer, types: types)
  }
}

struct NamesByFirstWord: TypeNaming {
  let image: BuiltImage
  let names: [UInt64: String]
  func typeName(at address: Address, size: UInt64) -> String? { image.load(address, as: UInt64.self).flatMap { names[$0] } }
}

@Suite struct LeakSearchTests {
  @Test func nothingIsLostWhereEverythingIsHeld() throws {
    let process = Process()
    let a = process.heap.allocate(64)
    let b = process.heap.allocate(48)
    let c = process.heap.allocateHuge(1 << 20)
    process.image.write(a.rawValue, at: process.data + 8)
    process.image.write(b.rawValue + 40, at: a + 56)
    process.image.write(c.rawValue + 5000, at: b + 16)
    let report = try process.search()
    #expect(report.leaks == BlockCount())
    #expect(report.groups.isEmpty)
    #expect(report.scannedBytes > 1 << 20)
  }

  @Test func registersStacksAndRedZoneAreRoots() throws {
    let process = Process()
    let blocks = (0..<4).map { _ in process.heap.allocate(64) }
    process.image.threads[0].registerWords = [1, blocks[0].rawValue]
    process.image.write(blocks[1].rawValue, at: process.stackPointer + 64)
    process.image.write(blocks[2].rawValue, at: process.stackPointer - 128)
    process.image.write(blocks[3].rawValue, at: process.stackPointer - 136)
    #expect(try process.search().groups.map(\.addresses) == [[blocks[3]]])
  }

  @Test func mappingsThatAreNoRoots() throws {
    let process = Process()
    let blocks = (0..<10).map { _ in process.heap.allocate(64) }
    process.image.map(0x6000_0000_0000, size: 4096, writable: false, name: "/usr/bin/built", inode: 3)
    process.image.map(0x6000_0001_0000, size: 4096, shared: true, name: "/dev/dri/card0", inode: 5)
    process.image.map(0x6000_0002_0000, size: 4096, shared: true, name: "/dev/zero", inode: 5)
    process.image.map(0x6000_0003_0000, size: 4096, shared: true, name: "/tmp/small", inode: 5)
    process.image.map(0x6000_1000_0000, size: 65 << 20, shared: true, name: "/tmp/large", inode: 5)
    process.image.map(0x6000_2000_0000, size: 4096, name: "[heap]")
    process.image.map(0x6000_3000_0000, size: 4096, writable: false)
    let places: [UInt64] = [
      0x6000_0000_0000, 0x6000_0001_0000, 0x6000_0002_0000, 0x6000_0003_0000, 0x6000_1000_0000, 0x6000_2000_0000,
      0x6000_3000_0000, process.heap.introspection.rawValue + 2048, process.heap.metadata.rawValue + (1 << 19),
    ]
    for (block, place) in zip(blocks, places) { process.image.write(block.rawValue, at: Address(place)) }
    let lost = Set(try process.search().groups.flatMap(\.addresses))
    #expect(lost == Set([0, 1, 4, 7, 8, 9].map { blocks[$0] }))
  }

  @Test func anEndCountsOnlyWhereNothingElseLies() throws {
    let process = Process()
    let a = process.heap.allocate(64)
    let b = process.heap.allocate(64)
    process.image.write(words: [b.rawValue, b.rawValue + 64], at: process.data)
    #expect(try process.search().groups.flatMap(\.addresses) == [a])
    process.image.write(words: [0, b.rawValue + 64], at: process.data)
    #expect(try process.search().groups.flatMap(\.addresses) == [a])
    process.heap.free(b)
    process.image.write(words: [b.rawValue, 0], at: process.data)
    #expect(try process.search().leaks.blocks == 0)
  }

  @Test func treesHaveOneDefiniteRoot() throws {
    let process = Process()
    let nodes = (0..<1023).map { _ in process.heap.allocate(32) }
    for index in 0..<511 {
      process.image.write(words: [nodes[2 * index + 1].rawValue, nodes[2 * index + 2].rawValue], at: nodes[index])
    }
    let report = try process.search()
    #expect(report.leaks == BlockCount(blocks: 1023, bytes: 1023 * 32))
    #expect(report.count(of: .definite).blocks == 1)
    #expect(report.count(of: .indirect).blocks == 1022)
    #expect(report.groups.map(\.kind) == [.indirect, .definite])
    #expect(report.groups[1].held == BlockCount(blocks: 1022, bytes: 1022 * 32))
    #expect(report.groups[1].addresses == [nodes[0]])
  }

  @Test func ringsAreCyclesAndNamedByTheirTypes() throws {
    let process = Process()
    let names = NamesByFirstWord(image: process.image, names: [101: "Session", 102: "Handler", 103: "Buffer"])
    for _ in 0..<100 {
      let session = process.heap.allocate(32)
      let handler = process.heap.allocate(48)
      let buffer = process.heap.allocate(80)
      process.image.write(words: [101, 0, handler.rawValue], at: session)
      process.image.write(words: [102, 0, session.rawValue, buffer.rawValue], at: handler)
      process.image.write(103 as UInt64, at: buffer)
    }
    let report = try process.search(types: names)
    #expect(report.leaks == BlockCount(blocks: 300, bytes: 16000))
    #expect(report.groups.map(\.type) == ["Buffer", "Handler", "Session"])
    #expect(report.groups.map(\.kind) == [.indirect, .cycle, .cycle])
    #expect(report.groups.map(\.cycle) == [nil, "Session ⇄ Handler", "Session ⇄ Handler"])
    #expect(report.groups.map(\.cycles) == [nil, 100, 100])
    #expect(report.groups.map(\.count.blocks) == [100, 100, 100])
  }

  @Test func threeTypesMakeARing() throws {
    let process = Process()
    let names = NamesByFirstWord(image: process.image, names: [1: "A", 2: "B", 3: "C"])
    let blocks = (0..<3).map { _ in process.heap.allocate(32) }
    for index in 0..<3 {
      process.image.write(words: [UInt64(index + 1), 0, blocks[(index + 1) % 3].rawValue], at: blocks[index])
    }
    let report = try process.search(types: names)
    #expect(Set(report.groups.map(\.cycle)) == ["A → B → C → A"])
    #expect(report.groups.count == 3)
  }

  @Test func aCycleUnderALostBlockIsIndirect() throws {
    let process = Process()
    let (root, a, b) = (process.heap.allocate(64), process.heap.allocate(32), process.heap.allocate(32))
    process.image.write(words: [0, 0, a.rawValue], at: root)
    process.image.write(words: [0, 0, b.rawValue], at: a)
    process.image.write(words: [0, 0, a.rawValue], at: b)
    let report = try process.search()
    #expect(report.count(of: .definite).blocks == 1)
    #expect(report.count(of: .indirect).blocks == 2)
    #expect(report.count(of: .cycle).blocks == 0)
  }

  @Test func referencesToOneselfAreCyclesButEmptyListsAndStringsAreNot() throws {
    let process = Process()
    let (object, list, string) = (process.heap.allocate(32), process.heap.allocate(48), process.heap.allocate(64))
    process.image.write(words: [7, 0, object.rawValue], at: object)
    process.image.write(words: [list.rawValue, list.rawValue], at: list)
    process.image.write(words: [string.rawValue + 16, 3], at: string)
    let report = try process.search()
    #expect(report.groups.first { $0.kind == .cycle }?.addresses == [object])
    #expect(report.groups.first { $0.kind == .cycle }?.cycle == "block of 32 bytes → itself")
    #expect(report.count(of: .definite).blocks == 2)
  }

  @Test func aVeryLongListIsFollowedToItsEnd() throws {
    let process = Process()
    var blocks: [Address] = []
    for _ in 0..<200_000 { blocks.append(process.heap.allocate(16)) }
    for (block, next) in zip(blocks, blocks.dropFirst()) { process.image.write(next.rawValue, at: block) }
    process.image.write(blocks[0].rawValue, at: process.data)
    #expect(try process.search().leaks.blocks == 0)
    process.image.write(0 as UInt64, at: process.data)
    let lost = try process.search()
    #expect(lost.count(of: .definite).blocks == 1)
    #expect(lost.count(of: .indirect).blocks == 199_999)
    process.image.write(blocks[0].rawValue, at: blocks[199_999])
    let ring = try process.search()
    #expect(ring.count(of: .cycle).blocks == 200_000)
    #expect(ring.groups.map(\.cycle) == ["block of 16 bytes → … → block of 16 bytes"])
  }

  @Test func requestedBytesAreReportedWhereKnown() throws {
    let process = Process()
    let stack = process.heap.addStack([0x1000])
    process.heap.allocate(1152, stack: stack, requested: 1024)
    _ = process.heap.allocateHuge(5_000_001)
    let report = try process.search()
    #expect(report.leaks == BlockCount(blocks: 2, bytes: 5_001_025))
    #expect(report.groups.map(\.stackID) == [nil, stack])
  }

  @Test func freedAndUncarvedBlocksAreNoLeaks() throws {
    let process = Process(hardened: true)
    let blocks = (0..<8).map { _ in process.heap.allocate(64) }
    for block in blocks.prefix(6) { process.heap.free(block, to: .remote) }
    #expect(try process.search().leaks.blocks == 2)
  }
}
