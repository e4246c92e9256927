// The mirror shows exactly what the image holds, whatever is unmapped or unreadable around it.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct MemoryMirrorTests {
  @Test func readsStopAtTheEndOfAMapping() {
    let image = BuiltImage()
    image.map(0x10000, size: 0x3000)
    image.write(UInt64(7), at: Address(0x12ff8))
    let mirror = MemoryMirror(image)
    #expect(mirror.word(Address(0x12ff8)) == 7)
    #expect(mirror.word(Address(0x13000)) == nil)
    #expect(mirror.word(Address(0x12ffc)) == nil)
    #expect(mirror.word(Address(0xfff8)) == nil)
    #expect(mirror.word(Address(.max - 7)) == nil)
    #expect(mirror.word(Address(1 << 47)) == nil)
  }

  @Test func unalignedAndCrossingReadsWork() {
    let image = BuiltImage()
    let edge: UInt64 = 1 << 26
    image.map(edge - 0x40000, size: 0x80000)
    image.write(UInt64(0x1122_3344_5566_7788), at: Address(edge - 3))
    image.write(UInt64(42), at: Address(edge - 0x40000 + 13))
    let mirror = MemoryMirror(image)
    #expect(mirror.word(Address(edge - 3)) == 0x1122_3344_5566_7788)
    #expect(mirror.word(Address(edge - 0x40000 + 13)) == 42)
  }

  @Test func unreadablePagesLeaveHoles() {
    let image = BuiltImage()
    image.map(0x40000, size: 0x10000)
    image.unreadablePages = [Address(0x42000), Address(0x43000)]
    image.write(UInt64(5), at: Address(0x44000))
    let mirror = MemoryMirror(image)
    #expect(mirror.word(Address(0x41ff8)) == 0)
    #expect(mirror.word(Address(0x42000)) == nil)
    #expect(mirror.word(Address(0x43ff8)) == nil)
    #expect(mirror.word(Address(0x44000)) == 5)
    var spans: [(Address, Int)] = []
    mirror.forEachSpan(from: Address(0x41800), count: 0x3000) { spans.append(($0, $1.count)) }
    #expect(spans.map(\.0) == [Address(0x41800), Address(0x44000)])
    #expect(spans.map(\.1) == [0x800, 0x800])
  }

  @Test func untouchedMemoryIsNotCopied() {
    let image = BuiltImage()
    image.map(0x1000_0000, size: 1 << 20)
    image.write(UInt64(9), at: Address(0x1000_3000))
    let mirror = MemoryMirror(image) { range in
      [Address(0x1000_3000)..<Address(0x1000_4000)].filter { $0.overlaps(range) }
    }
    #expect(mirror.word(Address(0x1000_3000)) == 9)
    #expect(mirror.word(Address(0x1000_8000)) == 0)
    #expect(mirror.bytesCopied == 4096)
  }

  @Test func aSmallCapacityStillReadsEverything() {
    let image = BuiltImage()
    image.map(0x1000_0000, size: 32 << 20)
    for step in 0..<128 as Range<UInt64> { image.write(step + 1, at: Address(0x1000_0000 + step << 18)) }
    let mirror = MemoryMirror(image, capacity: 4 << 20)
    for _ in 0..<2 {
      for step in 0..<128 as Range<UInt64> { #expect(mirror.word(Address(0x1000_0000 + step << 18)) == step + 1) }
    }
    // 16 chunks fit: the second round had to copy all of them again.
    #expect(mirror.bytesCopied == 64 << 20)
  }
}
