// A search for leaks in a damaged heap ends, traps nowhere, and what it reports adds up.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct DamagedLeakSearchTests {
  @Test(arguments: 0..<4) func reportsAddUp(seed: Int) throws {
    for round in 0..<150 {
      var random = SeededGenerator(seed: UInt64(1_000_000 + seed * 1000 + round))
      let built = BuiltHeap.small(&random)
      addPointers(built, &random)
      built.damage(&random)
      guard let read = try? built.read() else { continue }
      let report = LeakSearch(read).run()
      check(report, read)
    }
  }

  /// Points blocks at each other at random, a few of them from a data segment and wild registers.
  private func addPointers(_ built: BuiltHeap, _ random: inout SeededGenerator) {
    built.image.map(0x5555_0000_0000, size: 4096, name: "/usr/bin/built", inode: 3)
    built.image.map(0x7fee_0000_0000, size: 4096, writable: false, name: "/usr/lib/libswiftCore.so", inode: 4)
    let blocks = (0..<20).map { _ in built.allocate([32, 64].randomElement(using: &random)!) }
    for block in blocks {
      for word in 0..<4 as Range<UInt64> where Bool.random(using: &random) {
        built.image.write(blocks.randomElement(using: &random)!.rawValue, at: block + word * 8)
      }
    }
    built.image.write(blocks.randomElement(using: &random)!.rawValue, at: Address(0x5555_0000_0000))
    built.image.threads = [
      ThreadState(
        threadID: 1, stackPointer: Address(.random(in: 0 ... .max, using: &random)),
        registerWords: (0..<4).map { _ in .random(in: 0 ... .max, using: &random) })
    ]
  }

  private func check(_ report: LeakReport, _ read: MallowHeap) {
    let addresses = report.groups.flatMap(\.addresses)
    #expect(Set(addresses).count == addresses.count)
    #expect(addresses.count == report.leaks.blocks)
    #expect(report.leaks.blocks <= read.statistics.live.blocks)
    #expect(report.leaks.bytes <= read.statistics.live.bytes)
    for address in addresses {
      let block = read.heap.block(containing: address)
      #expect(block.map(read.heap.isLive) == true)
    }
    let held = report.groups.reduce(into: BlockCount()) { $0 += $1.held }
    #expect(held == report.count(of: .indirect))
    for group in report.groups {
      #expect(group.count.blocks > 0)
      #expect((group.kind == .cycle) == (group.cycles != nil))
    }
    for (a, b) in zip(report.groups, report.groups.dropFirst()) { #expect(a.count.bytes >= b.count.bytes) }
  }
}
