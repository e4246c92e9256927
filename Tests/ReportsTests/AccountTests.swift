// Accounts and fragmentation, to the letter.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Foundation
import Heaps
import ProcessImage
import Support
import Testing

@testable import Reports

@Suite struct AccountReportTests {
  /// A heap of a hundred blocks of 64 bytes, every second of them freed, in a process with some modules.
  private func summaries(unexplained: UInt64 = 0) throws -> (AccountSummary, FragmentationSummary) {
    let built = BuiltHeap()
    let blocks = (0..<100_000).map { _ in built.allocate(64) }
    for index in stride(from: 0, to: blocks.count, by: 2) { built.free(blocks[index]) }
    let heap = try built.read()
    let end = blocks.last! + 64
    let pages = [Address(0x1000)..<Address(0x40_0000), blocks[0]..<Address((end.rawValue + 4095) & ~4095)]
    let resident = pages.reduce(0 as UInt64) { $0 + ($1.upperBound - $1.lowerBound) }
    let modules = ["/usr/bin/server", "/usr/lib/libc.so.6", "/usr/lib/liba.so", "/usr/lib/libb.so", "/usr/lib/libd.so", "/usr/lib/libe.so", "/usr/lib/libf.so"]
    var areas: [AccountArea] = []
    var start: UInt64 = 0x1000
    for (index, module) in modules.enumerated() {
      let size = UInt64(index + 1) << 16
      areas.append(AccountArea(Address(start)..<Address(start + size), .code, name: module))
      start += size
    }
    areas.append(AccountArea(Address(start)..<Address(0x3f_0000), .anonymous, name: "pointed to by /usr/lib/libc.so.6"))
    areas.append(AccountArea(Address(0x3f_0000)..<Address(0x40_0000), .mainStack, name: "frames"))
    let occupancy = HeapOccupancy(heap, resident: pages)
    let account = Account(
      resident: resident + unexplained, pages: pages, areas: areas, heaps: [("heap of Mallow", heap.heapRanges, occupancy)])
    return (
      AccountSummary(
        target: Fixtures.target, account: account,
        outside: OutsideCosts(pageTables: 57_344, swapped: 0, mappings: 120, fileCache: 1 << 20), heap: occupancy, pauseMilliseconds: 2.345,
        notes: ["A note."]),
      FragmentationSummary(target: Fixtures.target, fragmentation: Fragmentation(occupancy), pauseMilliseconds: 2.345)
    )
  }

  @Test func anAccount() throws {
    print(TextReport.account(try summaries().0))
  }

  @Test func fragmentation() throws {
    print(TextReport.fragmentation(try summaries().1))
  }
}
