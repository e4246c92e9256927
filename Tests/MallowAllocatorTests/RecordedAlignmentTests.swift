// SPDX-License-Identifier: Apache-2.0
import CMallow
import Testing

@testable import MallowAllocatorHosted

extension AllocatorTests {
  /// A block with a trailer is as well aligned as one without.
  @Test(arguments: [false, true])
  func recordedBlocksAreAligned(hardened: Bool) {
    let heap = currentHeap()!
    tidy(heap, pagesPerQueue: .max)
    heap.pointee.slow_only = 1
    mallow_introspection.hardened = hardened ? 1 : 0
    expectPurge(heap)
    heap.pointee.purge_pending = 0
    var blocks: [UnsafeMutableRawPointer?] = []
    for shift in 4...16 {
      for size in [0, 1, 64, 100, 1000, 1024, 1025, 5000, 66_000] {
        let block = allocateAligned(size, alignment: 1 << shift)
        #expect(address(block) % (1 << UInt64(shift)) == 0, "\(size) bytes aligned to \(1 << shift)")
        // The trailer lies behind the words that a free block uses.
        let page = locate(address(block), doing: "test").page
        if page.hasTrailers { #expect(page.blockSize >= 32) }
        blocks.append(block)
      }
    }
    for block in blocks { deallocate(block) }
    emptyQuarantine(heap)
    heap.pointee.slow_only = 0
    mallow_introspection.hardened = 0
  }
}
