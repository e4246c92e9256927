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
  /// A heap of many blocks of 64 bytes, every second of them freed, in a process with some modules.
  private func summaries(unexplained: UInt64 = 0) throws -> (AccountSummary, FragmentationSummary) {
    let built = BuiltHeap(slicesPerRegion: 128)
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
    let expected = """
      chatserver  process 4242
      ────────────────────────────────────────────────────────────────────────────────
          6.1 MiB    60%  heap of Mallow  50,000 blocks
          3.1 MiB    30%    free in partly used pages  50,000 blocks
          3.1 MiB    30%    live  50,000 blocks
          2.2 MiB    22%  anonymous mappings
          2.2 MiB    22%    pointed to by libc.so.6
          1.8 MiB    17%  code
        448.0 KiB     4%    libf.so
        384.0 KiB     4%    libe.so
        320.0 KiB     3%    libd.so
        256.0 KiB     2%    libb.so
        192.0 KiB     2%    liba.so
        192.0 KiB     2%    … and 2 more
         64.0 KiB     1%  stacks
      ──────────────────
         10.1 MiB   100%  explained
                0         unexplained
         10.1 MiB   100%  resident

      Outside the resident memory
         56.0 KiB         page tables
          0 bytes         swapped out
         35.2 KiB         records of 120 mappings, an estimate
          1.0 MiB         cached files, of its whole control group

      Pause    The process stood still for 2.3 ms.

      Note     A note.

      """
    #expect(TextReport.account(try summaries().0) == expected)
  }

  @Test func whatIsUnexplainedIsSaid() throws {
    let text = TextReport.account(try summaries(unexplained: 4096).0)
    #expect(text.contains("    4.0 KiB         unexplained\n"))
    let painted = TextReport.account(try summaries(unexplained: 4096).0, style: Style(isColored: true))
    #expect(painted.contains("\u{1b}[1;31m    4.0 KiB         unexplained\u{1b}[0m"))
  }

  @Test func allRowsAreListedWhenAsked() throws {
    let text = TextReport.account(try summaries().0, showsAll: true)
    for name in ["server", "libc.so.6", "main stack", "frames"] { #expect(text.contains(name)) }
    #expect(!text.contains("more"))
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 })
  }

  @Test func fragmentation() throws {
    let expected = """
      chatserver  process 4242
      ────────────────────────────────────────────────────────────────────────────────
      Heap         6.1 MiB  100%  resident  mallow
                   3.1 MiB   50%  live      50,000 blocks
                   3.1 MiB   50%  free      between live blocks
                   0 bytes    0%  cached    whole pages, kept for reuse
                   0 bytes    0%  metadata  the allocator's own
      Ratio    2.00 resident bytes for each live one

             size    live blocks    free blocks    live bytes    free bytes
         64 bytes         50,000         50,000       3.1 MiB       3.1 MiB

      3.1 MiB is free between live blocks and can't be given back, >99% of it in
      blocks of 64 bytes: put short-lived and long-lived blocks apart.

      """
    #expect(TextReport.fragmentation(try summaries().1) == expected)
  }

  @Test func theKeysOfJSON() throws {
    let (account, fragmentation) = try summaries()
    let report = try #require(JSONSerialization.jsonObject(with: Data(JSONReport.account(account).utf8)) as? [String: Any])
    #expect(report["command"] as? String == "account")
    #expect(report["unexplained"] as? Int == 0)
    #expect(report["resident"] as? Int == report["explained"] as? Int)
    let rows = try #require(report["rows"] as? [[String: Any]])
    #expect(rows.map { $0["name"] as? String } == ["heap of Mallow", "anonymous mappings", "code", "stacks"])
    #expect((rows[0]["rows"] as? [[String: Any]])?.count == 2)
    #expect(rows[0]["blocks"] as? Int == 50_000)
    let other = try #require(JSONSerialization.jsonObject(with: Data(JSONReport.fragmentation(fragmentation).utf8)) as? [String: Any])
    #expect(Set(other.keys).isSuperset(of: ["resident", "live", "free", "ratio", "classes", "target", "pause"]))
    #expect(Set((other["free"] as? [String: Any] ?? [:]).keys) == ["inPages", "cached"])
  }
}
