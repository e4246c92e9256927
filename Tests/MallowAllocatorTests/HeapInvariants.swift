// What the tests share: threads, and the invariants of the book-keeping, which hold whenever no thread is inside the allocator.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import Foundation
import Testing

@testable import MallowAllocatorHosted

/// Tests of the allocator run one after the other: they share its one heap, and some count what it holds.
@Suite(.serialized) struct AllocatorTests {}

/// Runs `body` in as many new threads, and returns when all have ended, their thread-specific destructors included.
func inThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  final class Start {
    let body: @Sendable (Int) -> Void
    let index: Int
    init(_ body: @escaping @Sendable (Int) -> Void, _ index: Int) {
      self.body = body
      self.index = index
    }
  }
  let threads = (0..<count).map { index in
    var thread = pthread_t()
    let start = Unmanaged.passRetained(Start(body, index)).toOpaque()
    let result = pthread_create(
      &thread, nil,
      { argument in
        let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
        start.body(start.index)
        return nil
      }, start)
    precondition(result == 0)
    return thread
  }
  for thread in threads { pthread_join(thread, nil) }
}

/// What the descriptors say of the slices of all regions.
struct SliceCensus: Equatable {
  var regions = 0
  var free = 0
  var dirtyFree = 0
  var blockPages = 0
  var spans = 0
  var liveBlocks = 0
}

/// Walks all regions and expects the figures that the allocator keeps to be what the bitmaps and the descriptors say.
@discardableResult
func checkSlices(_ location: SourceLocation = #_sourceLocation) -> SliceCensus {
  var census = SliceCensus()
  var candidate = firstRegion()
  while let region = candidate {
    candidate = region.next
    if region.pointee.base == 0 || region.pointee.kind != UInt32(MALLOW_MAP_REGION) { continue }
    census.regions += 1
    // What searches skip has nothing for them.
    if let first = Region(bitPattern: UInt(mallow_state.first_free)), region.pointee.order < first.pointee.order {
      #expect(region.pointee.free_slices == 0, sourceLocation: location)
    }
    if let first = Region(bitPattern: UInt(mallow_state.first_dirty)), region.pointee.order < first.pointee.order {
      #expect(region.pointee.dirty_free_slices == 0, sourceLocation: location)
    }
    let free = mallow_region_free(region)
    let dirty = mallow_region_dirty(region)
    var freeCount = 0
    var dirtyCount = 0
    for word in 0..<Int(MALLOW_BITMAP_WORDS) {
      freeCount += free[word].nonzeroBitCount
      dirtyCount += (free[word] & dirty[word]).nonzeroBitCount
    }
    #expect(Int(region.pointee.free_slices) == freeCount, sourceLocation: location)
    #expect(Int(region.pointee.dirty_free_slices) == dirtyCount, sourceLocation: location)
    var slice = 1
    var used = 0
    while slice < Int(region.pointee.slices) {
      let page = Page(at: region.pointee.base) + slice
      let isFree = free[slice >> 6] >> UInt64(slice & 63) & 1 != 0
      var length = 1
      switch Int32(page.pointee.kind) {
      case MALLOW_PAGE_FREE:
        #expect(isFree && page.pointee.owner == 0, sourceLocation: location)
      case MALLOW_PAGE_BLOCKS, MALLOW_PAGE_SPAN:
        length = Int(page.pointee.slices)
        used += length
        if Int32(page.pointee.kind) == MALLOW_PAGE_SPAN {
          census.spans += 1
          #expect(UInt64(page.pointee.block_size) <= UInt64(length) * sliceSize, sourceLocation: location)
        } else {
          census.blockPages += 1
          census.liveBlocks += Int(page.pointee.used)
          #expect(page.pointee.used <= UInt32(page.pointee.carved), sourceLocation: location)
        }
        for distance in 0..<length {
          let bit = slice + distance
          #expect(free[bit >> 6] >> UInt64(bit & 63) & 1 == 0, sourceLocation: location)
          if distance > 0 {
            #expect(Int32((page + distance).pointee.kind) == MALLOW_PAGE_TAIL, sourceLocation: location)
            #expect(Int((page + distance).pointee.slices) == distance, sourceLocation: location)
          }
        }
      default:
        Issue.record("slice \(slice) has a descriptor of kind \(page.pointee.kind)", sourceLocation: location)
      }
      slice += max(length, 1)
    }
    #expect(used + freeCount == Int(region.pointee.slices) - 1, sourceLocation: location)
    census.free += freeCount
    census.dirtyFree += dirtyCount
  }
  #expect(mallow_state.dirty_free == UInt64(census.dirtyFree), sourceLocation: location)
  return census
}
