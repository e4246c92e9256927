// Pointers that are no plain words of memory are followed and counted; what they do not lead to stays lost.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct DisguiseTests {
  @Test(arguments: [1, 2, 3, 4, 5, 6, 7] as [UInt64]) func unalignedPointersAreFollowed(offset: UInt64) throws {
    let process = Process()
    let (holder, held, next, lost) = (
      process.heap.allocate(64), process.heap.allocate(32), process.heap.allocate(48), process.heap.allocate(80)
    )
    process.image.write(holder.rawValue, at: process.data)
    process.image.pointer(holder + 16 + offset).storeBytes(of: held.rawValue, as: UInt64.self)
    // What an unaligned pointer leads to is followed in turn, by plain words and by unaligned ones.
    process.image.pointer(held + offset).storeBytes(of: next.rawValue, as: UInt64.self)
    let report = try process.search()
    #expect(report.groups.map(\.addresses) == [[lost]])
    #expect(report.disguises[.unaligned] == 2)
  }

  @Test func unalignedPointersAcrossPiecesOfMemory() throws {
    let process = Process()
    let holder = process.heap.allocateHuge(1 << 20)
    let held = process.heap.allocate(64)
    process.image.write(holder.rawValue, at: process.data)
    // Memory is read in pieces of 256 KiB.
    let edge = Address((holder.rawValue + (1 << 18)) & ~(1 << 18 - 1))
    process.image.pointer(edge - 3).storeBytes(of: held.rawValue, as: UInt64.self)
    #expect(try process.search().leaks.blocks == 0)
  }

  @Test func anUnalignedPointerIntoABlockIsChance() throws {
    let process = Process()
    let (holder, lost) = (process.heap.allocate(64), process.heap.allocate(32))
    process.image.write(holder.rawValue, at: process.data)
    process.image.pointer(holder + 5).storeBytes(of: lost.rawValue + 8, as: UInt64.self)
    #expect(try process.search().groups.map(\.addresses) == [[lost]])
  }

  @Test func whatOnlyTheKernelHolds() throws {
    let process = Process()
    let blocks = (0..<4).map { _ in process.heap.allocate(64) }
    process.image.kernelHeldWords = [
      KernelHeldWord(.epoll, blocks[0].rawValue), KernelHeldWord(.timer, blocks[1].rawValue), KernelHeldWord(.epoll, 7),
      KernelHeldWord(.ioUring, blocks[3].rawValue),
    ]
    // What memory holds, too, is not ascribed to the kernel.
    process.image.write(blocks[3].rawValue, at: process.data)
    let report = try process.search()
    #expect(report.groups.map(\.addresses) == [[blocks[2]]])
    #expect(KernelHeldWord.Holder.allCases.map { report.disguises[.kernel($0)] } == [1, 1, 0])
  }

  @Test func eachFormIsCounted() throws {
    let process = Process(swift: true)
    let (tagged, object, sideTable, last) = (
      process.heap.allocate(64), process.heap.allocate(48), process.heap.allocate(32), process.heap.allocate(80)
    )
    process.image.write(
      words: [tagged.rawValue | 0x4000 << 48, object.rawValue, last.rawValue + 80], at: process.data)
    process.image.write(words: [0, 3 << 62 | sideTable.rawValue >> 3], at: object)
    process.image.write(object.rawValue, at: sideTable)
    let report = try process.search()
    #expect(report.leaks.blocks == 0)
    #expect([Disguise.tagged, .sideTable, .end, .unaligned].map { report.disguises[$0] } == [1, 1, 1, 0])
    process.image.write(words: [tagged.rawValue, object.rawValue, last.rawValue], at: process.data)
    process.image.write(words: [0, 3], at: object)
    process.heap.free(sideTable)
    #expect(try process.search().disguises.isEmpty)
  }

  @Test func aStaticallyLinkedRuntimeIsSwift() throws {
    let process = Process()
    let block = process.heap.allocate(64)
    process.image.write(block.rawValue | 0x8000 << 48, at: process.data)
    var options = LeakSearch.Options()
    #expect(try process.search(options).leaks.blocks == 1)
    options.isSwift = true
    #expect(try process.search(options).leaks.blocks == 0)
  }
}
