// What is said of addresses: blocks, what keeps them alive, stacks, strings of the start, and where nothing is.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Symbols
import Testing

@Suite struct ExplainerTests {
  let process = Process()

  init() {
    // Code makes the file a module, so that its data are variables.
    process.image.map(
      process.data.rawValue - 4096, size: 4096, writable: false, executable: true, name: "/usr/bin/built", inode: 3)
  }

  func explain(_ address: Address, types: (any TypeNaming)? = nil) throws -> Explanation {
    let heap = TargetHeap(try process.heap.read())
    let mirror = heap.heap.mirror
    let symbolizer = Symbolizer(image: process.image)
    return Explainer(
      mirror: mirror, heap: heap, symbolizer: symbolizer, threadLocals: ThreadLocals(image: mirror, symbolizer: symbolizer),
      space: AddressSpace(AddressSpaceFacts(process.image)), traits: ProgramTraits(mirror.mappings), types: types
    ).explain(address, target: Target(processID: 4242, executable: "/usr/bin/built", allocator: .mallow))
  }

  func chain(to address: Address) throws -> Explanation.Chain? {
    guard case .chain(let chain)? = try explain(address).block?.keptBy else { return nil }
    return chain
  }

  @Test func theShortestChainIsFound() throws {
    let (a, b, c) = (process.heap.allocate(64), process.heap.allocate(48), process.heap.allocate(64))
    let target = process.heap.allocate(96)
    process.image.write(a.rawValue, at: process.data + 800)
    process.image.write(b.rawValue, at: a + 8)
    process.image.write(c.rawValue, at: b + 16)
    process.image.write(target.rawValue, at: c)
    let long = try #require(try chain(to: target))
    #expect(long.chain.root == .memory(process.data + 800))
    #expect(long.chain.links.map(\.start) == [a, b, c, target])
    #expect(long.chain.links.map(\.offset) == [8, 16, 0, nil])
    process.image.write(target.rawValue + 40, at: a + 56)
    #expect(try chain(to: target + 8)?.chain.links.map(\.start) == [a, target])
  }

  @Test func variablesComeBeforeStacksAndRegisters() throws {
    let (first, target) = (process.heap.allocate(64), process.heap.allocate(64))
    process.image.threads[0].registerWords = [1, target.rawValue + 8]
    #expect(try chain(to: target)?.chain.root == .register(thread: 4242, name: "rbx"))
    process.image.write(target.rawValue, at: process.stackPointer + 64)
    #expect(try chain(to: target)?.chain.root == .memory(process.stackPointer + 64))
    process.image.write(first.rawValue, at: process.data + 8)
    process.image.write(target.rawValue, at: first)
    #expect(try chain(to: target)?.chain.root == .memory(process.data + 8))
  }

  @Test func whatNothingLeadsToIsSaidSo() throws {
    let (a, b) = (process.heap.allocate(64), process.heap.allocate(64))
    process.image.write(a.rawValue, at: b)
    process.image.write(b.rawValue, at: a)
    guard case .nothing? = try explain(a + 4).block?.keptBy else {
      Issue.record("a chain to a cycle that nothing holds")
      return
    }
  }

  @Test func aLongListIsFollowedToItsEnd() throws {
    var previous = process.data
    var last = previous
    for _ in 0..<50_000 {
      last = process.heap.allocate(32)
      process.image.write(last.rawValue, at: previous)
      previous = last
    }
    let chain = try #require(try chain(to: last)?.chain)
    #expect(chain.links.count + chain.omitted == 50_000)
    #expect(chain.links.last?.start == last)
  }

  @Test func blocksAreDescribed() throws {
    let block = process.heap.allocate(64, requested: 40)
    let other = process.heap.allocate(64, requested: 48)
    process.image.write(0x1234, at: block)
    let names = NamesByFirstWord(image: process.image, names: [0x1234: "Session"])
    let inside = try explain(block + 8, types: names)
    #expect(inside.place.kind == "heap")
    #expect(inside.block?.block.start == block)
    #expect(inside.block?.block.requested == 40)
    #expect(inside.block?.type == "Session")
    #expect(inside.block?.isBehind == false)
    #expect(try explain(block + 50).block?.isBehind == true)
    process.heap.free(other)
    let free = try #require(try explain(other + 1).block)
    #expect(free.block.state == .free)
    #expect(free.keptBy == nil && free.type == nil)
  }

  @Test func anUnmappedAddressHasNeighbours() throws {
    let explanation = try explain(process.stack - 100)
    #expect(explanation.place.kind == "unmapped")
    #expect(explanation.above?.distance == 100)
    #expect(explanation.above?.region.start == process.stack)
    #expect(explanation.below?.region.end ?? process.stack < process.stack - 100)
    #expect(explanation.contents.isEmpty)
    #expect(try explain(Address(0)).below == nil)
  }

  @Test(
    arguments: [
      (0x0000_7fff_ffff_f000, "unmapped"), (0x0000_8000_0000_0000, "non-canonical"), (0xffff_7fff_ffff_ffff, "non-canonical"),
      (0xffff_8000_0000_0000, "kernel"), (UInt64.max, "kernel"),
    ] as [(UInt64, String)])
  func whatNoProgramCanHave(address: UInt64, kind: String) throws {
    #expect(try explain(Address(address)).place.kind == kind)
  }

  @Test func belowTheStackPointerAStackIsUnused() throws {
    #expect(try explain(process.stack + 16).place.stackPart == .unused)
    let inUse = try explain(process.stackPointer + 16).place
    #expect(inUse.stackPart == .inUse)
    #expect(inUse.thread?.threadID == 4242)
  }
}
