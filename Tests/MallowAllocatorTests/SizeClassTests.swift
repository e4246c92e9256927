// SPDX-License-Identifier: Apache-2.0
import CMallow
import Testing

@testable import MallowAllocatorHosted

@Suite struct SizeClassTests {
  @Test func everySizeGetsTheSmallestClassThatHoldsIt() {
    for size in UInt64(0)...largestBlock {
      let index = sizeClass(of: size)
      #expect(index >= 0 && index < Int(MALLOW_CLASS_COUNT))
      #expect(blockSize(ofClass: index) >= size)
      if index > 0 { #expect(blockSize(ofClass: index - 1) < max(size, 1)) }
    }
  }

  @Test func noBlockWastesMoreThanAnEighthAbove256Bytes() {
    for size in UInt64(257)...largestBlock {
      let block = blockSize(ofClass: sizeClass(of: size))
      #expect(Double(block - size) / Double(block) < 0.125)
    }
  }

  @Test func blocksAreMultiplesOf16AndGrow() {
    var previous: UInt64 = 0
    for index in 0..<Int(MALLOW_CLASS_COUNT) {
      let block = blockSize(ofClass: index)
      #expect(block % 16 == 0 && block > previous)
      #expect(sizeClass(of: block) == index)
      previous = block
    }
    #expect(previous == largestBlock)
  }

  @Test(arguments: [32, 64, 128, 256, 1024, 4096, 16384, 65536] as [UInt64])
  func aSizeRoundedToAnAlignmentHasAnAlignedClass(alignment: UInt64) {
    var size = alignment
    while size <= largestBlock {
      #expect(blockSize(ofClass: sizeClass(of: size)) % alignment == 0)
      size += alignment
    }
  }

  /// A page knows its blocks' addresses from all others, those of other pages and of no page at all included.
  @Test func aPageKnowsItsBlocks() {
    var generator = Generator(state: 1)
    for index in 0..<Int(MALLOW_CLASS_COUNT) {
      let size = blockSize(ofClass: index)
      let start: UInt64 = 0x5f00_0001_0000
      var descriptor = mallow_page()
      descriptor.start = start
      descriptor.multiplier = multiplier(of: size)
      descriptor.size_class = UInt8(index)
      let bytes = UInt64(slices(ofBlocks: size)) * sliceSize
      let carved = bytes / size - UInt64.random(in: 0...1, using: &generator)
      descriptor.limit = carved * (descriptor.multiplier &* size)
      withUnsafeMutablePointer(to: &descriptor) { page in
        for offset in stride(from: UInt64(0), to: bytes, by: 8) {
          #expect(page.contains(block: start + offset) == (offset % size == 0 && offset / size < carved))
        }
        for _ in 0..<2000 {
          let far = UInt64.random(in: 0..<1 << 47, using: &generator)
          #expect(!page.contains(block: far) || far - start < bytes)
          #expect(!page.contains(block: start &- size &* (far >> 20 + 1)))
        }
        #expect(!page.contains(block: 0) && !page.contains(block: start - size) && !page.contains(block: start + bytes + size))
      }
    }
  }
}
