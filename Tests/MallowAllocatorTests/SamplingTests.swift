// SPDX-License-Identifier: Apache-2.0
import CMallow
import Foundation
import Testing

@testable import MallowAllocatorHosted

/// What all sites say together.
private struct SiteSums {
  var allocations = 0.0
  var bytes = 0.0
  var liveBytes = 0.0

  init() {
    var id: UInt64 = 1
    while id * 8 < mallow_introspection.stacks_used {
      let record = stack(UInt32(id))
      allocations += Double(record.pointee.allocations) / 1024
      bytes += Double(record.pointee.allocated_bytes)
      liveBytes += Double(Int64(bitPattern: record.pointee.allocated_bytes &- record.pointee.freed_bytes))
      id += UInt64(MemoryLayout<mallow_stack>.size) / 8 + UInt64(record.pointee.depth)
    }
  }
}

/// Runs `body` with the sampler on, in this thread's heap, and returns what its allocations added.
private func sampled(every interval: UInt64, _ body: () -> Void) -> (allocations: Double, bytes: Double, liveBytes: Double) {
  let heap = currentHeap()!
  if mallow_introspection.stacks == 0 { makeStackTable() }
  mallow_introspection.profile = UInt32(MALLOW_PROFILE_SAMPLED)
  mallow_introspection.sample_interval = interval
  _ = trim()
  for index in 0...Int(MALLOW_CLASS_COUNT) { mallow_heap_until_sample(heap)[index] = nextSample(heap) }
  let before = SiteSums()
  body()
  let after = SiteSums()
  mallow_introspection.profile = UInt32(MALLOW_PROFILE_OFF)
  for index in 0...Int(MALLOW_CLASS_COUNT) { mallow_heap_until_sample(heap)[index] = nextSample(heap) }
  return (after.allocations - before.allocations, after.bytes - before.bytes, after.liveBytes - before.liveBytes)
}

/// Expects an estimate of a sum over `count` blocks of `size` bytes to be within five standard deviations.
private func expectEstimate(
  _ estimate: Double, of count: Int, _ size: UInt64, interval: UInt64, _ location: SourceLocation = #_sourceLocation
) {
  let block = size <= largestBlock ? blockSize(ofClass: sizeClass(of: size)) : size
  let chance = 1 - Foundation.exp(-Double(block) / Double(interval))
  let deviation = (Double(count) * (1 - chance) / chance).squareRoot()
  #expect(abs(estimate - Double(count)) <= 5 * deviation + 1, "\(estimate) for \(count) blocks of \(size)", sourceLocation: location)
}

extension AllocatorTests {
  @Suite struct SamplingTests {
    @Test func aRequestThatFailsForItsSizeIsNoSample() {
      // More than all that a heap without a sampler counts down from.
      for _ in 0..<2 { #expect(allocate(Int.max) == nil) }
      let sums = sampled(every: 4096) {
        for _ in 0..<10 { #expect(allocate(1 << 50) == nil) }
      }
      #expect(sums.allocations == 0 && sums.bytes == 0)
    }

    @Test(arguments: [16, 100, 1000, 5000, 40_000, 100_000] as [UInt64])
    func allocationsAreEstimated(size: UInt64) {
      let count = 4000
      let sums = sampled(every: 8 * size) {
        for _ in 0..<count { deallocate(allocate(Int(size))) }
      }
      expectEstimate(sums.allocations, of: count, size, interval: 8 * size)
      // Counts are kept in 1/1024, bytes in whole ones.
      #expect(abs(sums.bytes - sums.allocations * Double(size)) <= 0.005 * sums.bytes)
      #expect(sums.liveBytes == 0)
    }

    /// Pages that are given back with blocks on the list of the fast path: those were never allocated.
    @Test func blocksThatWereNeverTakenDoNotCount() {
      let count = 2000
      let sums = sampled(every: 1024) {
        for _ in 0..<count {
          deallocate(allocate(64))
          tidy(currentHeap()!, pagesPerQueue: .max)
        }
      }
      expectEstimate(sums.allocations, of: count, 64, interval: 1024)
    }

    @Test func alignedBlocksAreEstimated() {
      let count = 2000
      let sums = sampled(every: 32_768) {
        for _ in 0..<count { deallocate(allocateAligned(1100, alignment: 4096)) }
      }
      expectEstimate(sums.allocations, of: count, 4096, interval: 32_768)
    }

    /// Half of the blocks shrink a little, in place: what is live must still be seen.
    @Test func reallocKeepsTheEstimateOfLiveBlocks() {
      let count = 4000
      var blocks: [UnsafeMutableRawPointer?] = []
      let sums = sampled(every: 2048) {
        for _ in 0..<count { blocks.append(reallocate(allocate(250), 200)) }
      }
      expectEstimate(sums.liveBytes / 250, of: count, 250, interval: 2048)
      for block in blocks { deallocate(block) }
    }

    @Test(arguments: [(100_000, 150_000), (20 << 20, 40 << 20), (40 << 20, 20 << 20)])
    func nothingIsLiveAfterABlockThatWasResizedIsFreed(from: Int, to: Int) {
      let sums = sampled(every: 1024) {
        var block = allocate(from)
        for size in [to, from, to] { block = reallocate(block, size) }
        deallocate(block)
      }
      #expect(sums.liveBytes == 0)
      #expect(sums.allocations >= 3)
    }

    @Test func hardenedModeSamplesAsWell() {
      let heap = currentHeap()!
      mallow_introspection.hardened = 1
      heap.pointee.slow_only = 1
      let count = 3000
      var blocks: [UnsafeMutableRawPointer?] = []
      let sums = sampled(every: 1024) { for _ in 0..<count { blocks.append(allocate(100)) } }
      for block in blocks { deallocate(block) }
      emptyQuarantine(heap)
      heap.pointee.slow_only = 0
      mallow_introspection.hardened = 0
      expectEstimate(sums.allocations, of: count, 100, interval: 1024)
    }
  }
}
