// SPDX-License-Identifier: Apache-2.0
import CMallow
import Foundation
import Testing

@testable import MallowAllocatorHosted

/// Resident bytes of the pages that the blocks lie in.
private func residentBytes(around blocks: [UInt64]) -> Int {
  var bytes = 0
  var resident = [UInt8](repeating: 0, count: 16)
  for slice in Set(blocks.map { $0 / sliceSize }) {
    #expect(mincore(rawPointer(slice * sliceSize), Int(sliceSize), &resident) == 0)
    bytes += resident.count { $0 & 1 != 0 } * 4096
  }
  return bytes
}

extension AllocatorTests {
  @Suite struct HollowPageTests {
    @Test(arguments: [16, 48, 320, 1000, 3000, 8000, 20_000])
    func whatFewBlocksKeepInPagesGoesBackAndComesAgain(size: Int) {
      let count = max(4 << 20 / size, 400)
      func fill() -> [UInt64] {
        (0..<count).map { index in
          let block = allocate(size)!
          memset(block, Int32(truncatingIfNeeded: index | 1), size)
          return address(block)
        }
      }
      let blocks = fill()
      let before = residentBytes(around: blocks)
      #expect(before >= count * size)
      // Those that stay lie together, as much as fits into 4 KiB of every 40.
      func stays(_ index: Int) -> Bool { index * size / 4096 % 10 == 0 }
      let survivors = blocks.indices.filter(stays)
      for index in blocks.indices where !stays(index) { deallocate(pointer(blocks[index])) }
      #expect(settles { _ = trim(); return residentBytes(around: blocks) < before / 2 })
      checkSlices()
      for index in survivors {
        #expect(memcmp(rawPointer(blocks[index]), rawPointer(blocks[index]) + 1, size - 1) == 0)
        #expect(rawPointer(blocks[index]).load(as: UInt8.self) == UInt8(truncatingIfNeeded: index | 1))
      }
      let again = fill()
      #expect(Set(again).isDisjoint(with: survivors.map { blocks[$0] }) && Set(again).count == count)
      for (index, block) in again.enumerated() {
        #expect(rawPointer(block).load(as: UInt8.self) == UInt8(truncatingIfNeeded: index | 1))
        deallocate(pointer(block))
      }
      for index in survivors {
        #expect((rawPointer(blocks[index]) + size - 1).load(as: UInt8.self) == UInt8(truncatingIfNeeded: index | 1))
        deallocate(pointer(blocks[index]))
      }
      #expect(settles { trimmedCensus().dirtyFree == 0 })
    }
  }

  @Suite struct LendingTests {
    /// A page that goes must be taken back from all classes that it may have been lent to.
    @Test func noPageIsLentFurtherThanItIsTakenBackFrom() {
      for index in 0..<Int(MALLOW_CLASS_COUNT) {
        let size = blockSize(ofClass: index)
        if size <= directLimit { #expect(coarseClass(size) - index <= lendingReach) }
        let larger = (index..<Int(MALLOW_CLASS_COUNT)).last { blockSize(ofClass: $0) <= size + size / 4 }!
        #expect(larger - index <= lendingReach)
      }
    }

    @Test func aClassThatNeedsMoreTakesBlocksOfTheNext() {
      inThreads(1) { _ in
        let large = (0..<200).map { _ in allocate(112)! }
        for block in large.dropFirst() { deallocate(block) }
        let small = (0..<20).map { _ in allocate(90)! }
        #expect(small.allSatisfy { large.contains($0) })
        #expect(small.allSatisfy { usableSize(of: $0) == 112 })
        // The larger class goes on as before, and what is freed can be used again.
        let more = (0..<300).map { _ in allocate(112)! }
        #expect(Set(more).isDisjoint(with: small))
        for block in small + more + large.prefix(1) { deallocate(block) }
      }
      checkSlices()
    }
  }
}
