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

/// Walks all regions and expects the figures that the allocator keeps to be what the bitmaps and the descriptors say. A thread of the
/// test process that ends at this moment is giving pages back: then it is done again.
@discardableResult
func checkSlices(_ location: SourceLocation = #_sourceLocation) -> SliceCensus {
  var (census, problems) = takeCensus()
  for _ in 0..<1000 where !problems.isEmpty {
    sched_yield()
    (census, problems) = takeCensus()
  }
  for problem in problems { Issue.record("not so: \(problem)", sourceLocation: location) }
  return census
}

/// Whether `condition` comes to hold within three seconds. Other threads of the test process may end at any moment, and then leave a
/// page behind.
func settles(_ condition: () -> Bool) -> Bool {
  let start = milliseconds()
  while milliseconds() - start < 3000 {
    if condition() { return true }
    sched_yield()
  }
  return false
}

extension [String] {
  fileprivate mutating func expect(_ holds: Bool, _ text: String) {
    if !holds { append(text) }
  }
}

private func takeCensus() -> (SliceCensus, [String]) {
  var census = SliceCensus()
  var problems: [String] = []
  var candidate = firstRegion()
  while let region = candidate {
    candidate = region.next
    if region.pointee.base == 0 || region.pointee.kind != UInt32(MALLOW_MAP_REGION) { continue }
    census.regions += 1
    // What searches skip has nothing for them.
    if let first = Region(bitPattern: UInt(mallow_state.first_free)), region.pointee.order < first.pointee.order {
      problems.expect(region.pointee.free_slices == 0, "region.pointee.free_slices == 0")
    }
    if let first = Region(bitPattern: UInt(mallow_state.first_dirty)), region.pointee.order < first.pointee.order {
      problems.expect(region.pointee.dirty_free_slices == 0, "region.pointee.dirty_free_slices == 0")
    }
    let free = mallow_region_free(region)
    let dirty = mallow_region_dirty(region)
    var freeCount = 0
    var dirtyCount = 0
    for word in 0..<Int(MALLOW_BITMAP_WORDS) {
      freeCount += free[word].nonzeroBitCount
      dirtyCount += (free[word] & dirty[word]).nonzeroBitCount
    }
    problems.expect(Int(region.pointee.free_slices) == freeCount, "Int(region.pointee.free_slices) == freeCount")
    problems.expect(Int(region.pointee.dirty_free_slices) == dirtyCount, "Int(region.pointee.dirty_free_slices) == dirtyCount")
    var slice = 0
    var used = 0
    while slice < Int(region.pointee.slices) {
      let page = Page(ofSliceAt: region.pointee.base) + slice
      let isFree = free[slice >> 6] >> UInt64(slice & 63) & 1 != 0
      var length = 1
      switch Int32(page.pointee.kind) {
      case MALLOW_PAGE_FREE:
        problems.expect(isFree && page.pointee.owner == 0, "isFree && page.pointee.owner == 0")
      case MALLOW_PAGE_CACHED:
        length = page.sliceCount
        used += length
        problems.expect(!isFree && page.pointee.owner == 0, "a run in a cache is not free")
      case MALLOW_PAGE_BLOCKS, MALLOW_PAGE_SPAN:
        length = page.sliceCount
        used += length
        if Int32(page.pointee.kind) == MALLOW_PAGE_SPAN {
          census.spans += 1
          problems.expect(page.pointee.usable <= UInt64(length) * sliceSize, "page.pointee.usable <= UInt64(length) * sliceSize")
        } else {
          census.blockPages += 1
          let used = Int(page.pointee.used) - page.budgetLeft - page.hollowBlocks
          census.liveBlocks += used
          problems.expect(used >= 0 && used <= Int(page.pointee.carved), "0 <= \(used) <= \(page.pointee.carved) blocks in use")
        }
        for distance in 0..<length {
          let bit = slice + distance
          problems.expect(free[bit >> 6] >> UInt64(bit & 63) & 1 == 0, "free[bit >> 6] >> UInt64(bit & 63) & 1 == 0")
          if distance > 0 && Int32(page.pointee.kind) == MALLOW_PAGE_BLOCKS {
            problems.expect(Int32((page + distance).pointee.kind) == MALLOW_PAGE_TAIL, "Int32((page + distance).pointee.kind) == MALLOW_PAGE_TAIL")
            problems.expect(Int((page + distance).pointee.slices) == distance, "Int((page + distance).pointee.slices) == distance")
          }
        }
      default:
        problems.expect(false, "slice \(slice) has a descriptor of kind \(page.pointee.kind)")
      }
      slice += max(length, 1)
    }
    problems.expect(used + freeCount == Int(region.pointee.slices), "used + freeCount == Int(region.pointee.slices)")
    census.free += freeCount
    census.dirtyFree += dirtyCount
  }
  problems.expect(mallow_state.dirty_free == UInt64(census.dirtyFree), "mallow_state.dirty_free == UInt64(census.dirtyFree)")
  return (census, problems)
}
