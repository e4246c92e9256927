// Random operations against a model of what each block must hold.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import Foundation
import Testing

@testable import MallowAllocatorHosted

/// A small generator with a seed, so that a failure can be repeated.
struct Generator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var x = state
    x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
    x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
    return x ^ (x >> 31)
  }
}

/// A live block: its first and last bytes hold its tag.
private struct Block {
  var start: UInt64
  var size: Int
  var tag: UInt8

  static let edge = 64

  init?(_ start: UnsafeMutableRawPointer?, size: Int, tag: UInt8, alignment: Int) {
    guard let start else { return nil }
    self.start = address(start)
    self.size = size
    self.tag = tag
    if self.start % UInt64(alignment) != 0 || usableSize(of: start) < size { return nil }
    fill()
  }

  func fill() {
    memset(rawPointer(start), Int32(tag), min(size, Block.edge))
    let tail = min(size, Block.edge)
    memset(rawPointer(start + UInt64(size - tail)), Int32(tag), tail)
  }

  /// Whether the first `count` bytes, as far as they were filled, still hold the tag.
  func isWhole(_ count: Int) -> Bool {
    for offset in 0..<min(count, Block.edge, size) where byte(offset) != tag { return false }
    if count >= size { for offset in max(size - Block.edge, 0)..<size where byte(offset) != tag { return false } }
    return true
  }

  private func byte(_ offset: Int) -> UInt8 { rawPointer(start + UInt64(offset)).load(as: UInt8.self) }
}

private func isZero(_ block: UnsafeMutableRawPointer, _ size: Int) -> Bool {
  if size == 0 { return true }
  return block.load(as: UInt8.self) == 0 && memcmp(block, block + 1, size - 1) == 0
}

private func randomSize(_ generator: inout Generator) -> Int {
  switch Int.random(in: 0..<100, using: &generator) {
  case 0..<60: Int.random(in: 0...300, using: &generator)
  case 60..<85: Int.random(in: 0...9000, using: &generator)
  case 85..<96: Int.random(in: 0...100_000, using: &generator)
  case 96..<99: Int.random(in: 0...2_000_000, using: &generator)
  default: Int.random(in: 15_000_000...20_000_000, using: &generator)
  }
}

/// Does random operations; blocks go to the next thread by its mailbox now and then.
/// - Returns: what went wrong first, or nil.
private func operate(_ count: Int, seed: UInt64, mailboxes: UnsafeMutablePointer<UInt64>, threads: Int, index: Int) -> String? {
  var generator = Generator(state: seed)
  var blocks: [Block] = []
  for step in 0..<count {
    let tag = UInt8.random(in: 1...255, using: &generator)
    let choice = Int.random(in: 0..<100, using: &generator)
    if choice < 40 || blocks.isEmpty {
      let size = randomSize(&generator)
      var alignment = 16
      var start: UnsafeMutableRawPointer?
      switch Int.random(in: 0..<4, using: &generator) {
      case 0:
        start = allocateZeroed(1, size)
        if let start, !isZero(start, size) { return "step \(step): calloc(\(size)) is not zero" }
      case 1:
        alignment = 1 << Int.random(in: 4...21, using: &generator)
        start = allocateAligned(size, alignment: alignment)
      default: start = allocate(size)
      }
      guard let block = Block(start, size: size, tag: tag, alignment: alignment) else {
        return "step \(step): \(size) bytes aligned to \(alignment): \(String(describing: start))"
      }
      blocks.append(block)
    } else {
      let chosen = Int.random(in: 0..<blocks.count, using: &generator)
      let block = blocks[chosen]
      if !block.isWhole(block.size) { return "step \(step): a block of \(block.size) bytes was overwritten" }
      if choice < 55 {
        let size = max(randomSize(&generator), 1)
        let start = reallocate(pointer(block.start), size)
        var moved = block
        moved.start = address(start)
        if start == nil || !moved.isWhole(min(size, block.size)) { return "step \(step): realloc from \(block.size) to \(size)" }
        guard let new = Block(start, size: size, tag: tag, alignment: 16) else { return "step \(step): realloc to \(size)" }
        blocks[chosen] = new
      } else {
        blocks.swapAt(chosen, blocks.count - 1)
        blocks.removeLast()
        // Another thread frees what it finds in its mailbox: this one's block, or none.
        let other = choice < 70 ? mallow_exchange(mailboxes + (index + 1) % threads, block.start) : block.start
        deallocate(pointer(other))
      }
    }
    if step & 31 == 0 { deallocate(pointer(mallow_exchange(mailboxes + index, 0))) }
    if step & 4095 == 4095 { _ = trim() }
  }
  for block in blocks {
    if !block.isWhole(block.size) { return "at the end a block of \(block.size) bytes was overwritten" }
    deallocate(pointer(block.start))
  }
  return nil
}

extension AllocatorTests {
  @Suite struct ShadowModelTests {
    @Test(arguments: [(1, 11), (4, 12), (4, 13)] as [(Int, UInt64)])
    func randomOperationsKeepEveryBlockWhole(threads: Int, seed: UInt64) {
      let before = trimmedCensus()
      let mailboxes = UnsafeMutablePointer<UInt64>.allocate(capacity: threads)
      mailboxes.initialize(repeating: 0, count: threads)
      nonisolated(unsafe) let boxes = mailboxes
      let failures = UnsafeMutablePointer<String?>.allocate(capacity: threads)
      failures.initialize(repeating: nil, count: threads)
      nonisolated(unsafe) let results = failures
      inThreads(threads) { index in
        results[index] = operate(10_000, seed: seed &* 1000 &+ UInt64(index), mailboxes: boxes, threads: threads, index: index)
      }
      for index in 0..<threads {
        #expect(failures[index] == nil)
        deallocate(pointer(mailboxes[index]))
      }
      failures.deinitialize(count: threads)
      failures.deallocate()
      mailboxes.deallocate()
      let after = trimmedCensus()
      #expect(after.spans == before.spans)
      #expect(after.liveBlocks == before.liveBlocks)
      #expect(settles { trimmedCensus().dirtyFree == 0 })
      #expect(heapFigures().hugeBlocks == 0)
    }

    @Test func everyPowerOfTwoIsAnAlignment() {
      for shift in 0...30 {
        for size in [0, 1, 1000, 65_000, 70_000, 17 << 20] {
          let block = allocateAligned(size, alignment: 1 << shift)
          #expect(block != nil && address(block) % (1 << UInt64(shift)) == 0)
          #expect(usableSize(of: block) >= size)
          if size > 0 { (block! + size - 1).storeBytes(of: 1, as: UInt8.self) }
          deallocate(block)
        }
      }
      #expect(allocateAligned(1, alignment: 1 << 46) != nil || errno == ENOMEM)
      #expect(allocateAligned(Int.max, alignment: 4096) == nil)
      #expect(allocateAligned(Int.max - 4096, alignment: 4096) == nil)
      checkSlices()
    }

    @Test func spansGrowAndShrinkWithTheirContents() {
      var generator = Generator(state: 5)
      for _ in 0..<20 {
        var size = Int.random(in: 66_000...3_000_000, using: &generator)
        var block = allocate(size)!
        memset(block, 7, size)
        for _ in 0..<12 {
          let new = min(max(size * Int.random(in: 30...220, using: &generator) / 100, 1), 60 << 20)
          block = reallocate(block, new)!
          let kept = min(size, new)
          #expect(block.load(as: UInt8.self) == 7 && memcmp(block, block + 1, kept - 1) == 0)
          #expect(usableSize(of: block) >= new)
          memset(block, 7, new)
          size = new
        }
        checkSlices()
        deallocate(block)
      }
      checkSlices()
    }
  }
}
