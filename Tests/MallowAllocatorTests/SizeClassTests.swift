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

  @Test func theReciprocalTellsTheMultiples() {
    for index in 0..<Int(MALLOW_CLASS_COUNT) {
      let block = blockSize(ofClass: index)
      let reciprocal = UInt64.max / block + 1
      let bytes = UInt64(sliceCount(ofClass: index)) * sliceSize
      for offset in stride(from: UInt64(0), to: bytes, by: 8) {
        let product = reciprocal.multipliedFullWidth(by: offset)
        #expect((product.low < reciprocal) == (offset % block == 0))
        #expect(product.high == offset / block)
      }
    }
  }
}
