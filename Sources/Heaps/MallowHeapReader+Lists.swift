// Step three: which blocks are free. Every page's two lists are walked, each step checked, and the quarantine of each thread's heap.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import ProcessImage

extension MallowHeapReader {
  /// Takes the blocks on the pages' lists out of `live`.
  mutating func removeFreeBlocks(_ pages: [HeapPage], _ heads: [ListHeads], _ live: inout BitSet) {
    for (page, heads) in zip(pages, heads) where page.kind == .blocks {
      if !page.hasTrailers { grantedBlocks &+= UInt64(heads.budget) }
      walk(heads.free, page, "free list", heads.isBusy, &live)
      walk(heads.remoteFree, page, "list of remote frees", heads.isBusy, &live)
      if heads.isBusy { removeMarked(page, mark: heads.mark, &live) }
      removeHollow(page, heads.hollow, &live)
    }
  }

  /// Takes out the blocks in parts of a page that were given back to the system.
  /// - Parameter entry: the address of the page's first mallow_hollow, one for each slice.
  private func removeHollow(_ page: HeapPage, _ entry: Address?, _ live: inout BitSet) {
    guard let entry, let first = mirror.load(entry, as: mallow_hollow.self), first.blocks != 0 else { return }
    let sliceSize = UInt64(1) << PageTable.sliceShift
    let partSize = sliceSize / 16
    for slice in 0...(UInt64(page.capacity) * page.blockSize - 1) / sliceSize {
      guard let parts = mirror.load(entry + slice * UInt64(MemoryLayout<mallow_hollow>.size), as: mallow_hollow.self)?.parts else { return }
      for part in 0..<16 as Range<UInt64> where parts >> part & 1 != 0 {
        let offset = slice * sliceSize + part * partSize
        var index = offset / page.blockSize
        while index < UInt64(page.blockCount), index * page.blockSize < offset + partSize {
          live.remove(page.firstBlock + Int(index))
          index += 1
        }
      }
    }
  }

  /// Takes out blocks that are marked as free though no list leads to them: while a page's owner takes over what others have
  /// freed, their list hangs on nothing but a register. A live block's second word is never the mark but by a rare chance.
  private func removeMarked(_ page: HeapPage, mark: UInt64, _ live: inout BitSet) {
    for number in page.blockNumbers where live.contains(number) {
      let address = page.address(of: number - page.firstBlock)
      let expected = page.hasTrailers ? address.rawValue ^ introspection.key : mark
      if mirror.word(address + 8) == expected { live.remove(number) }
    }
  }

  /// Walks one list and takes its blocks out of `live`.
  private mutating func walk(_ head: UInt64, _ page: HeapPage, _ list: String, _ isBusy: Bool, _ live: inout BitSet) {
    var address = head
    var uncarved = 0
    while address != 0 {
      let offset = address &- page.start.rawValue
      let index = offset / page.blockSize
      guard index < UInt64(page.capacity) else {
        log.note(.freeList, page.start, "page \(page.start): its \(list) leaves the page, to \(Address(address))")
        break
      }
      guard index * page.blockSize == offset else {
        log.note(.freeList, page.start, "page \(page.start): its \(list) leads into the middle of a block, to \(Address(address))")
        break
      }
      if index >= UInt64(page.blockCount) {
        // Blocks are put on a list just before they are counted as carved. A loop through them ends here.
        uncarved += 1
        guard uncarved <= page.capacity else {
          log.note(.freeList, page.start, "page \(page.start): its \(list) is a loop")
          break
        }
      } else if !live.remove(page.firstBlock + Int(index)) {
        // While a page's owner moves one list to another, both lead to the same blocks.
        if !isBusy { log.note(.freeList, page.start, "page \(page.start): block \(Address(address)) is free twice") }
        break
      }
      guard let word = mirror.word(Address(address)) else {
        log.note(.freeList, page.start, "page \(page.start): the free block \(Address(address)) can't be read")
        break
      }
      address = introspection.hardened != 0 ? word ^ address ^ introspection.key : word
    }
  }

  /// The heap without the blocks that hardened mode holds back after their free.
  mutating func removeQuarantined(_ threadHeaps: [mallow_heap], _ heap: Heap) -> Heap {
    var live = heap.live
    for threadHeap in threadHeaps {
      withUnsafeBytes(of: threadHeap.quarantine) { bytes in
        for address in bytes.bindMemory(to: UInt64.self) where address != 0 {
          guard let block = heap.block(containing: Address(address)), heap.address(of: block).rawValue == address else {
            log.note(.quarantine, Address(address), "the quarantine holds \(Address(address)), which is no block")
            continue
          }
          live.remove(heap.number(of: block))
        }
      }
    }
    return Heap(pages: heap.pages, live: live, mirror: heap.mirror, table: heap.table)
  }
}
