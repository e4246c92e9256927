// /proc/PID/maps in all its shapes.
// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ProcessImage

@Suite struct MapsParserTests {
  private func parse(_ text: String) -> [Mapping] { MapsParser.parse(Array(text.utf8)) }

  @Test func readsAllFields() throws {
    let mapping = try #require(parse("7f0000001000-7f0000003000 r-xp 00002000 fe:01 4711   /usr/lib/libc.so.6\n").first)
    #expect(
      mapping
        == Mapping(
          start: Address(0x7f00_0000_1000), end: Address(0x7f00_0000_3000), isReadable: true, isWritable: false,
          isExecutable: true, isShared: false, fileOffset: 0x2000, device: "fe:01", inode: 4711, name: "/usr/lib/libc.so.6"))
  }

  @Test func readsAnonymousAndKernelMappings() {
    let mappings = parse(
      """
      1000-2000 rw-s 00000000 00:01 9 /dev/zero (deleted)
      2000-3000 ---p 00000000 00:00 0
      3000-4000 rw-p 00000000 00:00 0                          [stack]
      ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
      """)
    #expect(mappings.map(\.name) == ["/dev/zero", "", "[stack]", "[vsyscall]"])
    #expect(mappings.map(\.isDeleted) == [true, false, false, false])
    #expect(mappings.map(\.isShared) == [true, false, false, false])
    #expect(mappings[1].isReadable == false)
    #expect(mappings[3].end == Address(0xffff_ffff_ff60_1000))
  }

  @Test func keepsSpacesAndUndoesNewlines() {
    let mappings = parse("1000-2000 r--p 00000000 08:01 5    /tmp/a  b\\012c (x) (deleted) (deleted)\n")
    #expect(mappings.map(\.name) == ["/tmp/a  b\nc (x) (deleted)"])
    #expect(parse("1000-2000 r--p 00000000 08:01 5 /tmp/back\\slash\\01\n").map(\.name) == ["/tmp/back\\slash\\01"])
  }

  @Test func leavesOutMalformedLines() {
    #expect(parse("") == [])
    for line in [
      "garbage", "1000", "1000-", "1000-2000", "1000-2000 rw", "2000-1000 r--p 0 00:00 0", "1000-1000 r--p 0 00:00 0",
      "1000-2000 r--p zz 00:00 0", "11112222333344445-2000 r--p 0 00:00 0", "1000-2000 r--p 0 00:00",
    ] {
      #expect(parse(line) == [], "\(line)")
      #expect(parse(line + "\n1000-2000 r--p 0 00:00 0\n").count == 1, "\(line)")
    }
  }

  @Test func agreesWithItself() throws {
    let mappings = MapsParser.parse(try #require(ProcFiles.read("/proc/self/maps")))
    #expect(mappings.count > 10)
    #expect(zip(mappings, mappings.dropFirst()).allSatisfy { $0.end <= $1.start })
    #expect(mappings.contains { $0.name == "[stack]" })
  }
}
