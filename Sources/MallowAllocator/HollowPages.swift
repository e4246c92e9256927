// Kernel pages of 4 KiB in which no block is in use go back to the system though their page of blocks stays: where most of
// many blocks were freed, a few that stay behind would otherwise keep 64 KiB each. The page is then hollow: the blocks that lie
// in what was given back leave its list and count as used, and come back when the page has no others to offer.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// The size and the number of parts of a slice that are given back apart from each other.
private let partSize: UInt64 = 4096
private let partsPerSlice = 16
/// Pages looked at in a turn.
private let pagesPerTurn = 4096
/// Milliseconds between two turns of a heap whose pages become more or fewer.
let hollowDelay: UInt64 = 25

/// Whether a heap has made many pages since the last turn, or released many.
func hasChanged(_ heap: Heap) -> Bool { heap.pointee.pages &- heap.pointee.pages_then &+ 16 > 32 }

extension UnsafeMutablePointer where Pointee == mallow_page {
  /// The page's first entry in its region's table of hollow parts.
  @inline(__always)
  private var hollow: UnsafeMutablePointer<mallow_hollow> {
    let region = Region(containing: start)
    return mallow_region_hollow(region) + Int((start &- region.pointee.base) &>> UInt64(MALLOW_SLICE_SHIFT))
  }

  /// Blocks that are off the list since they lie in parts that were given back.
  var hollowBlocks: Int { Int(hollow.pointee.blocks) }

  /// Whether some part of `block`, a block of this page, was given back.
  func isHollow(_ block: UInt64) -> Bool { hollowBlocks != 0 && touchesGivenBack(block, except: -1) }

  private func isAnyGivenBack(from first: Int, to end: Int) -> Bool {
    for part in first..<end where isGivenBack(part) { return true }
    return false
  }

  private func touchesGivenBack(_ block: UInt64, except part: Int) -> Bool {
    for touched in parts(of: block) where touched != part && isGivenBack(touched) { return true }
    return false
  }

  /// The parts that a block lies in, counted from the page's start.
  @inline(__always)
  private func parts(of block: UInt64) -> ClosedRange<Int> {
    let offset = block &- start
    return Int(offset / partSize)...Int((offset &+ blockSize &- 1) / partSize)
  }

  @inline(__always)
  private func isGivenBack(_ part: Int) -> Bool { hollow[part / partsPerSlice].parts &>> UInt16(part % partsPerSlice) & 1 != 0 }

  /// Forgets what was given back, before the page's slices go.
  func forgetHollow() {
    let entry = hollow
    entry.pointee.looked = 0
    if entry.pointee.blocks == 0 { return }
    for slice in 0..<sliceCount { entry[slice].parts = 0 }
    entry.pointee.blocks = 0
  }

  /// Whether enough is free for a look: half of it, and less in use than at the last look that found nothing. Pages that were in motion
  /// since the last turn are left alone.
  fileprivate func isWorthALook() -> Bool {
    let entry = hollow
    let used = Int(pointee.used) &- Int(entry.pointee.blocks)
    let wasUsed = Int(entry.pointee.used)
    entry.pointee.used = UInt16(truncatingIfNeeded: used)
    if used != wasUsed || pointee.free == 0 { return false }
    let listed = Int(pointee.carved) &- Int(pointee.used)
    if used &* 2 > Int(pointee.carved) {
      entry.pointee.looked = 0
      return false
    }
    if listed &* Int(blockSize) < 2 &* Int(partSize) { return false }
    let looked = Int(entry.pointee.looked)
    return looked == 0 || used < looked
  }

  /// Gives back the parts of the page that no block in use touches. Nothing of it may be granted.
  fileprivate func hollowOut() {
    let entry = hollow
    entry.pointee.looked = UInt16(truncatingIfNeeded: max((Int(pointee.used) &- Int(entry.pointee.blocks)) &* 3 / 4, 1))
    let count = sliceCount &* partsPerSlice
    if !hasMarkedPart(count) { return }
    // Free bytes of each part of the longest page.
    return withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 128) { free in
      free.initialize(repeating: 0)
      var found = false
      if !countFreeBytes(free) { return }
      for part in 0..<count where UInt64(free[part]) == partSize {
        entry[part / partsPerSlice].parts |= 1 &<< UInt16(part % partsPerSlice)
        found = true
      }
      if !found { return }
      mallow_publish()
      takeHollowBlocksOffList()
      var part = 0
      while part < count {
        let first = part
        while part < count && UInt64(free[part]) == partSize { part &+= 1 }
        if part != first && !purgeMemory(start &+ UInt64(first) &* partSize, UInt64(part &- first) &* partSize) {
          mallow_state.purge_refused = 1
        }
        part &+= 1
      }
    }
  }

  /// Whether there is a part all blocks of which bear the mark of free ones. That is far faster to see than what is on the list, but a
  /// program that copies freed memory makes marks too.
  private func hasMarkedPart(_ count: Int) -> Bool {
    let size = blockSize
    let end = touched
    for part in 0..<count where !isGivenBack(part) {
      let offset = UInt64(part) &* partSize
      if offset &+ partSize > end { return false }
      var block = offset - offset % size
      while block < offset &+ partSize && (hasFreeMark(start &+ block) || isHollow(start &+ block)) { block &+= size }
      if block >= offset &+ partSize { return true }
    }
    return false
  }

  /// Counts the free bytes of each part that was not given back yet.
  /// - Returns: false where the program has damaged the list.
  private func countFreeBytes(_ free: UnsafeMutableBufferPointer<UInt16>) -> Bool {
    var block = pointee.free
    var left = Int(pointee.carved)
    while block != 0 {
      if left == 0 || !contains(block: block) { return false }
      left &-= 1
      addBytes(of: block, to: free)
      block = word(at: block)
    }
    if hollowBlocks == 0 { return true }
    // Blocks that lie in such a part and in one that was given back are on no list.
    for part in 0..<sliceCount &* partsPerSlice where isGivenBack(part) {
      let offset = UInt64(part) &* partSize
      var block = start &+ (offset &- offset % blockSize)
      while block < start &+ offset &+ partSize && contains(block: block) {
        if !isAnyGivenBack(from: parts(of: block).lowerBound, to: part) { addBytes(of: block, to: free) }
        block &+= blockSize
      }
      free[part] = 0
    }
    return true
  }

  private func addBytes(of block: UInt64, to free: UnsafeMutableBufferPointer<UInt16>) {
    var left = blockSize
    var offset = block &- start
    while left != 0 {
      let within = min(left, partSize &- offset % partSize)
      free[Int(offset / partSize)] &+= UInt16(truncatingIfNeeded: within)
      offset &+= within
      left &-= within
    }
  }

  private func takeHollowBlocksOffList() {
    var taken = 0
    var block = pointee.free
    var kept: UInt64 = 0
    while block != 0 {
      let next = word(at: block)
      if touchesGivenBack(block, except: -1) {
        if kept == 0 { pointee.free = next } else { setWord(at: kept, next) }
        taken &+= 1
      } else {
        kept = block
      }
      block = next
    }
    pointee.used &+= UInt16(truncatingIfNeeded: taken)
    hollow.pointee.blocks &+= UInt16(truncatingIfNeeded: taken)
  }

  /// Puts the blocks of one part that was given back on the list, which is empty.
  /// - Returns: false where nothing was given back.
  func fillHollow() -> Bool {
    while hollowBlocks != 0 {
      var part = 0
      while !isGivenBack(part) { part &+= 1 }
      let size = blockSize
      let offset = UInt64(part) &* partSize
      var index = offset / size
      var filled: UInt16 = 0
      while index < UInt64(pointee.carved) && index &* size < offset &+ partSize {
        let block = start &+ index &* size
        if !touchesGivenBack(block, except: part) {
          markFree(block, next: pointee.free)
          pointee.free = block
          filled &+= 1
        }
        index &+= 1
      }
      mallow_publish()
      hollow[part / partsPerSlice].parts &= ~(1 &<< UInt16(part % partsPerSlice))
      pointee.used &-= filled
      hollow.pointee.blocks &-= filled
      if filled != 0 { return true }
    }
    return false
  }
}

/// Looks at some of a heap's pages, others at each turn. Nothing may be granted.
func hollowOutPages(_ heap: Heap, now: UInt64, all: Bool = false) {
  heap.pointee.last_hollow = now
  heap.pointee.pages_then = heap.pointee.pages
  if mallow_state.kernel_page != partSize || mallow_state.purge_refused != 0 || mallow_introspection.hardened != 0 { return }
  var left = all ? Int.max : pagesPerTurn
  for _ in 0..<Int(MALLOW_CLASS_COUNT) {
    let index = Int(heap.pointee.hollow_class)
    if var page = frontPage(heap, index, trailers: false) {
      let back = Page(number: page.pointee.previous)
      while true {
        let next = Page(number: page.pointee.next)
        if page.isEmpty {
          releasePage(page, of: heap, aged: true)
        } else if page.isWorthALook() || all && page.pointee.free != 0 {
          page.hollowOut()
        }
        left &-= 1
        if page == back || left <= 0 { break }
        page = next
      }
    }
    if left <= 0 { return }
    heap.pointee.hollow_class = UInt32((index &+ 1) % Int(MALLOW_CLASS_COUNT))
  }
}
