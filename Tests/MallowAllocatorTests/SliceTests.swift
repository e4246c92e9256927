// SPDX-License-Identifier: Apache-2.0
import CMallow
import Foundation
import Testing

@testable import MallowAllocatorHosted

private func slicesOfSpan(_ block: UnsafeMutableRawPointer?) -> Int { Int(Page(ofSliceAt: address(block)).pointee.slices) }

private func freeRuns() -> [(start: UInt64, count: Int)] {
  var runs: [(start: UInt64, count: Int)] = []
  var candidate = firstRegion()
  while let region = candidate {
    candidate = region.next
    if region.pointee.base == 0 || region.pointee.kind != UInt32(MALLOW_MAP_REGION) { continue }
    var isInRun = false
    for slice in 0..<Int(region.pointee.slices) {
      let isFree = MallowAllocatorHosted.test(mallow_region_free(region), slice)
      if isFree && !isInRun { runs.append((region.pointee.base + UInt64(slice) * sliceSize, 0)) }
      if isFree { runs[runs.count - 1].count += 1 }
      isInRun = isFree
    }
  }
  return runs
}

extension AllocatorTests {
  @Suite struct SliceTests {
    /// First fit would take the lower block's place.
    @Test func aSpanTakesTheRunOfItsLengthThatWasGivenBackLast() {
      let length = 33 * Int(sliceSize)
      let blocks = (0..<6).map { _ in allocate(length) }.sorted { address($0) < address($1) }
      deallocate(blocks[4])
      deallocate(blocks[0])
      deallocate(blocks[2])
      for freed in [2, 0, 4] { #expect(allocate(length) == blocks[freed]) }
      for block in blocks { deallocate(block) }
      checkSlices()
    }

    @Test(arguments: [63, 64, 65, 67, 129, 300, 512])
    func longSpansHaveFewLengths(_ slices: Int) {
      let block = allocate(slices * Int(sliceSize) - 5)
      let length = slicesOfSpan(block)
      #expect(length >= slices && length <= slices + slices / 32)
      // Six significant bits at most.
      #expect(length.bitWidth - length.leadingZeroBitCount - length.trailingZeroBitCount <= 6)
      deallocate(block)
      checkSlices()
    }

    @Test func longRunsLeaveTheLeastOver() throws {
      let blocks = [80, 200, 70, 300, 70, 120, 70].map { allocate($0 * Int(sliceSize)) }
      for index in [1, 3, 5] { deallocate(blocks[index]) }
      let holes = freeRuns()
      let run = try #require(allocateSlices(100))
      let hole = try #require(holes.first { $0.start == run.start })
      #expect(hole.count == holes.map(\.count).filter { $0 >= 100 }.min())
      freeSlices(run, touched: 0)
      for index in [0, 2, 4, 6] { deallocate(blocks[index]) }
      checkSlices()
    }

    /// Blocks that were all freed and are allocated again come from the same pages, which are not carved anew.
    @Test func emptyPagesKeepTheirLists() {
      let heap = currentHeap()!
      let size = 3000
      for _ in 0..<20 {
        let blocks = (0..<100).map { _ in allocate(size) }
        #expect(Set(blocks).count == blocks.count)
        for block in blocks { memset(block!, 1, size) }
        for block in blocks { deallocate(block) }
      }
      var kept = 0
      var number = mallow_heap_cached(heap)[1]
      while number != 0 {
        let page = Page(number: number)
        if page.pointee.used != 0 && page.sizeClass == sizeClass(of: UInt64(size)) { kept += 1 }
        number = page.pointee.next
      }
      #expect(kept != 0)
      let carved = Page(number: mallow_heap_cached(heap)[1]).pointee.used
      let page = takeCarvedPage(heap, sizeClass(of: UInt64(size)))
      #expect(page?.pointee.carved == carved)
      if let page { releasePage(page, of: heap) }
      checkSlices()
    }

    @Test func aStringThatGrowsByAFewBytesSeldomMoves() {
      var block = allocate(24)
      var moves = 0
      for size in stride(from: 26, to: 4096, by: 2) {
        let new = reallocate(block, size)
        if new != block { moves += 1 }
        block = new
      }
      // There are 46 classes on the way.
      #expect(moves < 32, "\(moves) moves")
      deallocate(block)
    }
  }
}
