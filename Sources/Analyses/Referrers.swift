// Who points to a block.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

extension BlockSummary {
  /// Describes the block at an address and finds all pointers to it, which reads all memory that may hold one.
  /// - Parameter limit: how many pointers to list.
  public init(
    _ address: Address, in heap: TargetHeap, target: Target, types: any TypeNaming, roots: any RootNaming, traits: ProgramTraits,
    symbolizer: any StackSymbolizing, limit: Int = 1000
  ) {
    self.target = target
    self.address = address
    referrers = []
    referrerCount = 0
    notes = []
    let blocks = heap.heap
    guard let index = blocks.block(containing: address) else { return }
    let block = blocks.describe(index)
    self.block = block
    stack = block.stack.flatMap { heap.stacks[$0] }.map { symbolizer.frames($0.frames) }
    if block.state == .live { type = types.typeName(at: block.start, size: block.size) }
    let scanner = BlockScanner(blocks, isSwift: traits.isSwift)
    let roots = RootSearch(Roots(blocks.mirror, heapRanges: heap.heapRanges), names: roots)

    func add(_ word: UInt64, _ referrer: @autoclosure () -> Referrer) {
      referrerCount += 1
      guard referrers.count < limit else { return }
      var found = referrer()
      let start = block.start.rawValue
      let plain = word &- start <= block.size ? word : word & 0x0000_7fff_ffff_fff8
      found.offset = plain &- start <= block.size ? plain &- start : 0
      referrers.append(found)
    }
    roots.forEachWord(of: blocks.mirror) { address, word, name in
      guard scanner.target(of: word) == index else { return }
      add(word, Referrer(address: address, block: nil, type: nil, name: name(), offset: 0))
    }
    blocks.forEachLiveBlock { holder in
      _ = scanner.forEachTarget(of: holder) { offset, word, found in
        guard found == index else { return }
        let start = blocks.address(of: holder)
        let size = blocks.usableSize(of: holder)
        add(
          word,
          Referrer(
            address: start + offset, block: start, type: types.typeName(at: start, size: size),
            name: types.fieldName(at: start, size: size, offset: offset) ?? "+0x" + String(offset, radix: 16), offset: 0))
      }
    }
  }
}

/// Goes through the words of the roots, with a name for each.
private struct RootSearch {
  let roots: Roots
  let names: any RootNaming

  init(_ roots: Roots, names: any RootNaming) {
    self.roots = roots
    self.names = names
  }

  func forEachWord(of mirror: MemoryMirror, _ body: (Address?, UInt64, _ name: () -> String) -> Void) {
    for thread in mirror.image.threads {
      let name = thread.name.isEmpty ? "\(thread.threadID)" : thread.name
      for word in thread.registerWords { body(nil, word) { "a register of thread \(name)" } }
    }
    for word in roots.kernelWords { body(nil, word.value) { "held by the kernel (\(word.holder.rawValue))" } }
    for range in roots.ranges {
      mirror.stream(range) { start, bytes in
        var offset = Int((8 - start.rawValue % 8) % 8)
        while offset + 8 <= bytes.count {
          let address = start + UInt64(offset)
          body(address, bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) { names.rootName(at: address)?.name ?? "memory" }
          offset += 8
        }
      }
    }
  }
}
