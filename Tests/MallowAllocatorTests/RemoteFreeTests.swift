// SPDX-License-Identifier: Apache-2.0
import CMallow
import Foundation
import Testing

@testable import MallowAllocatorHosted

extension AllocatorTests {
  @Suite struct RemoteFreeTests {
    /// A block of a page is freed by another thread at the very moment when its owner marks the page full: the page must come back,
    /// or its memory is lost for ever.
    @Test func aPageComesBackThatIsFreedIntoWhileItGoesFull() {
      let before = trimmedCensus()
      let ring = Ring(capacity: 1)
      let ready = Ring(capacity: 1)
      let done = Ring(capacity: 1)
      let rounds = 400
      inThreads(2) { thread in
        for _ in 0..<rounds {
          if thread == 0 {
            // Pages of this size hold eight blocks. The first page goes full and comes back, behind the second.
            var blocks = (0..<16).map { _ in address(allocate(60_000)) }
            deallocate(pointer(blocks.removeFirst()))
            ring.put(blocks.removeLast())
            _ = ready.take()
            // The first of these takes what came back; the second finds both pages full, when their turn comes again.
            for _ in 0..<2 { blocks.append(address(allocate(60_000))) }
            _ = done.take()
            for block in blocks { deallocate(pointer(block)) }
            tidy(currentHeap()!, pagesPerQueue: .max)
          } else {
            let block = ring.take()
            let page = Page(blockAt: block)
            // What deallocate does, with all but the atomic operations done in advance, so that it falls into the moment.
            page.markFree(block, next: 0)
            ready.put(block)
            var head = UInt64(MALLOW_REMOTE_NOTIFY)
            var spins = 0
            while !mallow_compare_exchange(page.remoteFree, &head, block | 1 << UInt64(MALLOW_REMOTE_COUNT_SHIFT)) {
              head = UInt64(MALLOW_REMOTE_NOTIFY)
              spins += 1
              if spins % 5000 == 0 { sched_yield() }
            }
            page.pointee.next = 0
            var first: UInt64 = 0
            while !mallow_compare_exchange(mallow_heap_remote_pages(page.heap), &first, UInt64(page.number)) {
              page.pointee.next = UInt32(first)
            }
            done.put(block)
          }
        }
      }
      let after = trimmedCensus()
      #expect(after.blockPages == before.blockPages)
      #expect(after.liveBlocks == before.liveBlocks)
    }

    @Test func blocksPassedToAnotherThreadComeBack() {
      let before = trimmedCensus()
      let ring = Ring(capacity: 64)
      let count = 60_000
      inThreads(2) { thread in
        for index in 0..<count {
          if thread == 0 {
            ring.put(address(allocate(60_000 - index % 3)))
          } else {
            deallocate(pointer(ring.take()))
          }
        }
      }
      let after = trimmedCensus()
      #expect(after.blockPages == before.blockPages)
      #expect(after.liveBlocks == before.liveBlocks)
    }
  }
}

/// Gives back all that can be given back, and checks what is left.
func trimmedCensus(_ location: SourceLocation = #_sourceLocation) -> SliceCensus {
  _ = trim()
  return checkSlices(location)
}

/// A queue of addresses from one thread to another, which wait for each other by spinning.
final class Ring: @unchecked Sendable {
  private let slots: UnsafeMutablePointer<UInt64>
  private let capacity: Int
  private var written = 0
  private var read = 0

  init(capacity: Int) {
    self.capacity = capacity
    slots = .allocate(capacity: capacity)
    slots.initialize(repeating: 0, count: capacity)
  }

  deinit { slots.deallocate() }

  func put(_ value: UInt64) {
    let slot = slots + written % capacity
    while mallow_load(slot) != 0 { sched_yield() }
    mallow_store(slot, value)
    written += 1
  }

  func take() -> UInt64 {
    let slot = slots + read % capacity
    while true {
      let value = mallow_load(slot)
      if value != 0 {
        mallow_store(slot, 0)
        read += 1
        return value
      }
      sched_yield()
    }
  }
}
