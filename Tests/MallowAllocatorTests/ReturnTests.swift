// SPDX-License-Identifier: Apache-2.0
import CMallow
import Foundation
import Testing

@testable import MallowAllocatorHosted

/// Bytes of the free slices of all regions that are resident.
private func residentFreeBytes() -> Int {
  var bytes = 0
  var pages = [UInt8](repeating: 0, count: 16)
  var candidate = firstRegion()
  while let region = candidate {
    candidate = region.next
    if region.pointee.base == 0 || region.pointee.kind != UInt32(MALLOW_MAP_REGION) { continue }
    for slice in 0..<Int(region.pointee.slices) where MallowAllocatorHosted.test(mallow_region_free(region), slice) {
      let start = rawPointer(region.pointee.base + UInt64(slice) * sliceSize)
      #expect(mincore(start, Int(sliceSize), &pages) == 0)
      bytes += pages.count { $0 & 1 != 0 } * 4096
    }
  }
  return bytes
}

/// Calls the allocator a little, as an idle process does, until `condition` holds or three seconds have passed.
private func idle(until condition: () -> Bool) -> Bool {
  let start = milliseconds()
  while milliseconds() - start < 3000 {
    deallocate(allocate(16))
    if condition() { return true }
    usleep(10_000)
  }
  return false
}

extension AllocatorTests {
  @Suite struct ReturnTests {
    @Test func trimGivesAllFreeMemoryBack() {
      let blocks = (0..<300).map { allocate(1000 + $0 * 700) }
      for block in blocks { memset(block!, 1, usableSize(of: block)) }
      for block in blocks { deallocate(block) }
      #expect(residentFreeBytes() > 1 << 20)
      #expect(trim())
      #expect(residentFreeBytes() < 1 << 20)
      // Other tests read this process's memory meanwhile, which lets a few pages of zeros be resident.
      #expect(settles { !trim() && residentFreeBytes() < 1 << 20 && trimmedCensus().dirtyFree == 0 })
    }

    @Test func memoryThatIsLockedStaysDirty() {
      _ = trim()
      let size = 4 << 20
      let block = allocate(size)
      memset(block!, 1, size)
      let start = block!
      #expect(mlock(start, 65536) == 0)
      deallocate(block)
      #expect(settles { !trim() })
      #expect(checkSlices().dirtyFree >= 64)
      // What is not zero is not taken for zero.
      let again = allocateZeroed(1, size)
      #expect(memcmp(again!, again! + 1, size - 1) == 0 && again!.load(as: UInt8.self) == 0)
      deallocate(again)
      #expect(munlock(start, 65536) == 0)
      #expect(trim())
      #expect(settles { trimmedCensus().dirtyFree == 0 })
    }

    @Test func whatAnEndedThreadFreedGoesBackByTheOthersCalls() {
      _ = trim()
      // So that this thread takes its fast path for long.
      deallocate(allocate(16))
      inThreads(1) { _ in
        let blocks = (0..<400).map { _ in allocate(60_000) }
        for block in blocks { memset(block!, 1, 60_000) }
        for block in blocks { deallocate(block) }
      }
      #expect(mallow_state.dirty_free > 100)
      #expect(idle { mallow_state.dirty_free < 16 })
      checkSlices()
    }

    @Test func whatIsFreedIntoAnOrphanGoesBack() {
      let before = trimmedCensus()
      var blocks = [UInt64](repeating: 0, count: 200)
      blocks.withUnsafeMutableBufferPointer { buffer in
        nonisolated(unsafe) let buffer = buffer
        inThreads(1) { _ in
          for index in 0..<buffer.count {
            buffer[index] = address(allocate(60_000))
            memset(rawPointer(buffer[index]), 1, 60_000)
          }
        }
      }
      deallocate(allocate(16))
      for block in blocks { deallocate(pointer(block)) }
      #expect(idle { mallow_state.dirty_free == 0 && checkSlices().blockPages <= before.blockPages + 2 })
    }
  }
}
