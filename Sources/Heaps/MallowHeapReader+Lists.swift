// Step three: which blocks are free. Every page's three lists are walked, each step checked, and the quarantine of each thread's heap.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import ProcessImage

extension MallowHeapReader {
  /// Takes the blocks on the pages' lists out of `live`.
  mutating func removeFreeBlocks(_ pages: [HeapPage], _ heads: [ListHeads], _ live: inout BitSet) {
    for (page, heads) in zip(pages, heads) where page.kind == .blocks {
      let count = walk(heads.free, page, "free list", heads.isBusy, &live)
      if !page.hasTrailers { blocksOnFreeLists &+= UInt64(count) }
      _ = walk(heads.localFree, page, "list of local frees", heads.isBusy, &live)
      _ = walk(heads.remoteFree, page, "list of remote frees", heads.isBusy, &live)
      if heads.isBusy { removeMarked(page, &live) }
    }
  }

  /// Takes out blocks that are marked as free though no list leads to them: while a page's owner takes over what others have
  /// freed, their list hangs on nothing but a register. A live block's second word is never the mark but by a rare chance.
  private func removeMarked(_ page: HeapPage, _ live: inout BitSet) {
    for number in page.blockNumbers where live.contains(number) {
      let address = page.address(of: number - page.firstBlock)
      if mirror.word(address + 8) == address.rawValue ^ introspection.key { live.remove(number) }
    }
  }

  /// Walks one list and returns how many blocks it took out of `live`.
  private mutating func walk(_ head: UInt64, _ page: HeapPage, _ list: String, _ isBusy: Bool, _ live: inout BitSet) -> Int {
    var address = head
    var count = 0
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
      } else if live.remove(page.firstBlock + Int(index)) {
        count += 1
      } else {
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
    return count
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
