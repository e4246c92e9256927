// Counts of blocks by size and type, on heaps whose contents are known.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Testing

private struct Types: TypeNaming {
  func typeName(at address: Address, size: UInt64) -> String? { nil }
  func firstWordType(_ word: UInt64) -> FirstWordType { word == 0x5555_0000_8000 ? .named("Session", minimumSize: 32) : .none }
  func fieldName(at address: Address, size: UInt64, offset: UInt64) -> String? { offset == 16 ? "buffer" : nil }
}

private struct Places: RootNaming {
  let data: Address
  func rootName(at address: Address) -> RootName? {
    guard address >= data, address < data + 65536 else { return nil }
    let start = address < data + 512 ? address : data + 512
    return RootName(
      name: "variable\(start - data)", range: start..<(start == address ? start + 8 : data + 65536), isVariable: true,
      pointee: start - data == 64 ? "struct entry" : nil)
  }
}

@Suite struct HeapCensusTests {
  let process = Process()
  private var heap: BuiltHeap { process.heap }
  private let session: UInt64 = 0x5555_0000_8000

  private func census(swift: Bool = false, cPlusPlus: Bool = false) throws -> HeapCensus {
    HeapCensus(
      TargetHeap(try heap.read()), types: Types(), roots: Places(data: process.data),
      traits: ProgramTraits(isSwift: swift, isCPlusPlus: cPlusPlus))
  }

  private func types(cPlusPlus: Bool = false) throws -> [String: Int] {
    let census = try census(cPlusPlus: cPlusPlus)
    #expect(census.types.reduce(0) { $0 + $1.count.blocks } == census.live.blocks)
    #expect(census.types.reduce(0) { $0 + $1.count.bytes } == census.live.bytes)
    return Dictionary(census.types.map { ($0.name, $0.count.blocks) }) { $0 + $1 }
  }

  @Test func sizes() throws {
    let blocks = (0..<5).map { _ in heap.allocate(64) }
    heap.free(blocks[1])
    heap.allocate(48)
    let census = try census()
    #expect(census.live == BlockCount(blocks: 5, bytes: 4 * 64 + 48))
    #expect(census.free == BlockCount(blocks: 1, bytes: 64))
    #expect(census.classes.map(\.size) == [48, 64])
    #expect(census.classes.map(\.live) == [1, 4])
    #expect(census.classes.map(\.free) == [0, 1])
  }

  @Test func typesByFirstWord() throws {
    for _ in 0..<3 { process.image.write(session, at: heap.allocate(48)) }
    // Too small for the type.
    process.image.write(session, at: heap.allocate(16))
    #expect(try types() == ["Session": 3, "block of 16 bytes": 1])
  }

  @Test func otherBlocksByWhatPointsToThem() throws {
    let object = heap.allocate(48)
    let (buffer, twin) = (heap.allocate(1024), heap.allocate(1024))
    process.image.write(words: [session, 0, buffer.rawValue, twin.rawValue], at: object)
    let (root, element) = (heap.allocate(80), heap.allocate(80))
    process.image.write(root.rawValue, at: process.data + 8)
    process.image.write(element.rawValue, at: process.data + 1024)
    let entry = heap.allocate(64)
    process.image.write(entry.rawValue, at: process.data + 64)
    let child = heap.allocate(96)
    process.image.write(child.rawValue, at: root + 24)
    // A list: each is held by another of its size.
    let list = (0..<10).map { _ in heap.allocate(32) }
    for (one, next) in zip(list, list.dropFirst()) { process.image.write(next.rawValue, at: one + 8) }
    process.image.write(list[0].rawValue, at: process.data + 16)
    #expect(
      try types() == [
        "Session": 1, "block of 1,024 bytes, held by Session.buffer": 1, "block of 1,024 bytes, held by Session+0x18": 1,
        "block of 80 bytes, held by variable8": 1, "block of 80 bytes, held by variable512": 1,
        "struct entry, held by variable64": 1, "block of 96 bytes, held by block of 80 bytes+0x18": 1,
        "block of 32 bytes, held by variable16": 1, "block of 32 bytes, linked by +0x8": 9,
      ])
  }

  /// Nodes of a search tree with one key for each block, as libstdc++ links them.
  private func tree(_ nodes: [Address], header: Address) {
    func link(_ range: Range<Int>, _ parent: Address) -> UInt64 {
      guard !range.isEmpty else { return 0 }
      let middle = (range.lowerBound + range.upperBound) / 2
      let node = nodes[middle]
      process.image.write(
        words: [UInt64(middle & 1), parent.rawValue, link(range.lowerBound..<middle, node), link(middle + 1..<range.upperBound, node)],
        at: node)
      return node.rawValue
    }
    let root = link(nodes.indices, header)
    process.image.write(words: [0, root, nodes.first!.rawValue, nodes.last!.rawValue, UInt64(nodes.count)], at: header)
  }

  @Test(arguments: [1, 2, 3, 100]) func treeNodes(count: Int) throws {
    let nodes = (0..<count).map { _ in heap.allocate(48) }
    tree(nodes, header: process.data + 128)
    #expect(try types(cPlusPlus: true) == ["std::map or set node (48 bytes)": count])
    #expect(try types()["std::map or set node (48 bytes)"] == nil)
    // A link that does not come back, and nothing is proved of what hangs on it.
    process.image.write(process.data.rawValue, at: nodes[count / 2] + 8)
    #expect(try types(cPlusPlus: true)["std::map or set node (48 bytes)"] ?? 0 < count)
  }

  @Test func listNodes() throws {
    let nodes = (0..<20).map { _ in heap.allocate(32) }
    let container = process.data + 256
    let ring = [container] + nodes
    for (index, node) in ring.enumerated() {
      let (next, previous) = (ring[(index + 1) % ring.count], ring[(index + ring.count - 1) % ring.count])
      process.image.write(words: [next.rawValue, previous.rawValue], at: node)
    }
    process.image.write(20 as UInt64, at: container + 16)
    #expect(try types(cPlusPlus: true) == ["std::list node (32 bytes)": 20])
    // Such rings are common in C, too: the count of nodes tells.
    process.image.write(21 as UInt64, at: container + 16)
    #expect(try types(cPlusPlus: true)["std::list node (32 bytes)"] == nil)
  }

  @Test func memoryOfContainers() throws {
    let (string, other, vector) = (heap.allocate(64), heap.allocate(64), heap.allocate(80))
    process.image.write(words: [0x6161_6161_6161_6161, 0x6161], at: string)
    process.image.write(words: [string.rawValue, 10, 60], at: process.data + 128)
    // Without the zero byte behind it, it is no string.
    process.image.write(words: [.max, .max], at: other)
    process.image.write(words: [other.rawValue, 10, 60], at: process.data + 192)
    process.image.write(words: [vector.rawValue, vector.rawValue + 16, vector.rawValue + 80], at: process.data + 256)
    let (buckets, nodes) = (heap.allocate(128), (0..<3).map { _ in heap.allocate(32) })
    for (node, next) in zip(nodes, nodes.dropFirst()) { process.image.write(next.rawValue, at: node) }
    process.image.write(words: [buckets.rawValue, 13, nodes[0].rawValue, 3, 0x3f80_0000, 13], at: process.data + 320)
    #expect(
      try types(cPlusPlus: true) == [
        "std::string buffer (64 bytes)": 1, "block of 64 bytes, held by variable192": 1, "std::vector buffer (80 bytes)": 1,
        "std::unordered_map or set buckets (128 bytes)": 1, "std::unordered_map or set node (32 bytes)": 3,
      ])
  }

  @Test func damagedLinksEnd() throws {
    var generator = SeededGenerator(seed: 1)
    let nodes = (0..<200).map { _ in heap.allocate(48) }
    let places = nodes + [process.data + 128, process.data + 256]
    for _ in 0..<200 {
      for node in places {
        let words: [UInt64] = (0..<5).map { _ in
          Bool.random(using: &generator) ? places.randomElement(using: &generator)!.rawValue : UInt64.random(in: 0...2, using: &generator)
        }
        process.image.write(words: words, at: node)
      }
      #expect(try census(swift: true, cPlusPlus: true).live.blocks == 200)
    }
  }
}
