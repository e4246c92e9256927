// Pictures of address spaces: columns, folding, gaps, names that are too long.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Foundation
import ProcessImage
import Testing

@testable import Reports

@Suite struct LayoutTextTests {
  private func region(
    _ start: UInt64, _ end: UInt64, _ kind: AddressSpace.Kind, _ name: String = "", module: String? = nil, resident: UInt64 = 0,
    permissions: Permissions = [.read, .write], thread: Int32? = nil, depth: UInt64? = nil
  ) -> AddressSpace.Region {
    var counts = PageCounts()
    counts.size = end - start
    counts.resident = resident
    return AddressSpace.Region(
      start: Address(start), end: Address(end), kind: kind, name: name, module: module, permissions: permissions, threadID: thread,
      usedDepth: depth, counts: counts)
  }

  private var summary: LayoutSummary {
    let program = "/usr/bin/a program"
    return LayoutSummary(
      target: Target(processID: 42, executable: program, allocator: .glibc),
      space: AddressSpace(regions: [
        region(0x5500_0000_0000, 0x5500_0000_4000, .text, program, module: program, resident: 0x3000, permissions: [.read, .execute]),
        region(0x5500_0000_4000, 0x5500_0000_5800, .data, program, module: program, resident: 0x1800),
        region(0x5500_0000_5800, 0x5500_0000_6000, .bss, program, module: program, resident: 0x800),
        region(0x5600_0000_0000, 0x5600_0010_0000, .heap, "[heap]", resident: 0x8000),
        region(0x7f00_0000_0000, 0x7f00_0000_1000, .guardPages, "worker with a long name", permissions: [], thread: 43),
        region(0x7f00_0000_1000, 0x7f00_0080_0000, .threadStack, "worker with a long name", resident: 0x6000, thread: 43, depth: 0x5100),
        region(0x7f10_0000_0000, 0x7f10_0000_1000, .anonymous), region(0x7f10_0000_1000, 0x7f10_0000_2000, .anonymous),
        region(0x7f10_0000_4000, 0x7f10_0000_5000, .anonymous, permissions: [.read]),
        region(0xffff_ffff_ff60_0000, 0xffff_ffff_ff60_1000, .vsyscall, "[vsyscall]", permissions: [.execute]),
      ]), kernelResident: 0x13000, source: .pageScan, notes: [])
  }

  @Test func foldsWhatBelongsTogether() {
    let lines = TextReport.layout(summary).split(separator: "\n").map(String.init)
    #expect(lines[0] == "a program  process 42, 10 regions")
    #expect(lines[3].hasPrefix("550000000000        24K   20K") && lines[3].hasSuffix("  a program"))
    #expect(lines[4] == "                   1.0T  gap")
    #expect(lines.contains { $0.hasSuffix("stack work…me, 20K used, guard 4K") || $0.contains(", 20K used, guard 4K") })
    #expect(lines.contains { $0.hasSuffix("anonymous × 3, gaps 8K") })
    #expect(lines.contains { $0.hasPrefix("ffffff…00000") && $0.hasSuffix("vsyscall") })
    #expect(lines.contains { $0.contains("kernel's own figure, 76.0 KiB") })
    #expect(lines.allSatisfy { $0.count <= 80 })
    #expect(!lines.contains { $0.contains("swap") || $0.contains("huge") })
  }

  @Test func showsAllRegions() {
    let lines = TextReport.layout(summary, showsAll: true).split(separator: "\n").map(String.init)
    // A title of two lines, the heading, ten regions, four gaps, the total and the kernel's figure.
    #expect(lines.count == 2 + 1 + 10 + 4 + 1 + 1)
    #expect(lines.contains { $0.contains("guard worker") })
    #expect(lines.allSatisfy { $0.count <= 80 })
  }

  @Test func jsonIsNeverFolded() throws {
    var summary = summary
    summary.notes = ["a \"note\""]
    let text = try JSONReport.layout(summary)
    let document = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(document["schema"] as? String == "mallow/1")
    #expect(document["notes"] as? [String] == ["a \"note\""])
    let regions = try #require(document["regions"] as? [[String: Any]])
    #expect(regions.count == 10)
    #expect(regions[5]["kind"] as? String == "thread-stack")
    #expect(regions[5]["thread"] as? Int == 43)
    #expect(regions[0]["virtual"] as? Int == 0x4000)
    #expect(regions[0]["start"] as? String == "0x550000000000")
  }

  @Test func jsonNamesAreEscaped() {
    var text = ByteText()
    text.appendEscaped("a\"b\\c\nd é")
    #expect(text.string == "a\\\"b\\\\c\\u000ad é")
  }

  @Test func sizesTakeFiveColumnsAtMost() {
    func size(_ bytes: UInt64) -> String { LayoutRow.sizeText(bytes) }
    #expect([0, 1, 1023, 1024, 1536, 4096, 10239, 10240].map { size($0) } == ["0", "1", "1023", "1K", "1.5K", "4K", "10K", "10K"])
    #expect(size(1 << 20) == "1M")
    #expect(size((1 << 20) - 1) == "1.0M")
    #expect(size(1023 << 20) == "1023M")
    #expect(size(UInt64.max) == "16E")
    for shift in 0..<64 { for delta in [UInt64(0), 1, 77] { #expect(size((1 << UInt64(shift)) &+ delta).count <= 5) } }
  }
}
