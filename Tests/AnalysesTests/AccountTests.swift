// Rows of an account hold every resident byte once.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct AccountTests {
  private func range(_ start: UInt64, _ end: UInt64) -> Range<Address> { Address(start)..<Address(end) }

  @Test func areasOfOneNameAreOneRow() {
    let account = Account(
      resident: 6 * 4096, pages: [range(0x1000, 0x3000), range(0x5000, 0x9000)],
      areas: [
        AccountArea(range(0x1000, 0x2000), .code, name: "/bin/a"), AccountArea(range(0x2000, 0x5800), .code, name: "/lib/b"),
        AccountArea(range(0x5800, 0x8000), .code, name: "/bin/a"), AccountArea(range(0x8000, 0x9000), .vdso),
        AccountArea(range(0xa000, 0xb000), .anonymous),
      ])
    #expect(account.unexplained == 0)
    #expect(
      account.rows == [
        AccountRow("code", 0x5000, rows: [AccountRow("/bin/a", 0x3800), AccountRow("/lib/b", 0x1800)]),
        AccountRow("vdso", 0x1000),
      ])
  }

  @Test func whatNoAreaCoversIsUnexplained() {
    let areas = [AccountArea(range(0x1000, 0x2000), .anonymous)]
    let account = Account(resident: 0x4000, pages: [range(0x1000, 0x4000)], areas: areas)
    #expect(account.explained == 0x1000)
    #expect(account.unexplained == 0x3000)
    #expect(Account(resident: 0, pages: [range(0x1000, 0x2000)], areas: areas).unexplained == -0x1000)
  }

  @Test func stacksAreInOneRow() {
    let account = Account(
      resident: 0x6000, pages: [range(0x1000, 0x7000)],
      areas: [
        AccountArea(range(0x1000, 0x2000), .threadStack, name: "7 worker"),
        AccountArea(range(0x2000, 0x4000), .threadStack, name: "8 worker"),
        AccountArea(range(0x4000, 0x6f00), .mainStack), AccountArea(range(0x6f00, 0x7000), .mainStack, name: "environment"),
      ])
    #expect(account.rows.map(\.name) == ["stacks"])
    #expect(account.rows[0].bytes == 0x6000)
    #expect(account.rows[0].rows.map(\.bytes) == [0x3000, 0x3000])
    #expect(account.rows[0].rows.first { $0.name == "main stack" }?.rows.map(\.bytes) == [0x2f00, 0x100])
  }

  @Test func aHeapGoesBeforeTheAreaAroundIt() throws {
    let built = BuiltHeap()
    let block = built.allocate(64)
    let heap = try built.read()
    let pages = [block..<block + 8192, Address(0x7fff_0000_0000)..<Address(0x7fff_0000_1000)]
    let occupancy = HeapOccupancy(heap, resident: pages)
    let account = Account(
      resident: 3 * 4096, pages: pages,
      areas: built.image.mappings.map { AccountArea($0.start..<$0.end, $0.name.isEmpty ? .anonymous : .bss, name: $0.name) },
      heaps: [("heap of Mallow", heap.heapRanges, occupancy)])
    #expect(account.unexplained == 0)
    #expect(account.rows.map(\.name) == ["heap of Mallow", "bss"])
    #expect(account.rows[0].bytes == 8192)
    #expect(account.rows[0].blocks == 1)
    #expect(
      account.rows[0].rows == [AccountRow("free in partly used pages", 8128), AccountRow("live", 64, blocks: 1)])
  }
}
