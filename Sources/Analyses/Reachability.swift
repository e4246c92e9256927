// Conservative marking: every live block that can be reached from the roots.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Marks reachable blocks, with a stack of its own: a list of ten million nodes overflows nothing.
struct Reachability {
  /// The numbers of the reachable blocks.
  private(set) var marks: BitSet
  /// Bytes looked at, roots and blocks.
  private(set) var bytesScanned: UInt64 = 0
  private let scanner: BlockScanner
  private var pending: [BlockIndex] = []

  init(_ scanner: BlockScanner, roots: Roots) {
    self.scanner = scanner
    marks = BitSet(capacity: scanner.heap.numberLimit)
    for word in roots.words { mark(word) }
    drain()
    bytesScanned += UInt64(roots.words.count) * 8
    for range in roots.ranges {
      bytesScanned += scanner.mirror.stream(range) { start, bytes in
        var offset = Int((8 - start.rawValue % 8) % 8)
        while offset + 8 <= bytes.count {
          mark(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
          offset += 8
        }
      }
      drain()
    }
  }

  @inline(__always)
  private mutating func mark(_ word: UInt64) {
    guard let block = scanner.target(of: word) else { return }
    if marks.insert(scanner.heap.number(of: block)) { pending.append(block) }
  }

  private mutating func drain() {
    let scanner = scanner
    let heap = scanner.heap
    while let block = pending.popLast() {
      bytesScanned += scanner.forEachTarget(of: block) { _, _, target in
        if marks.insert(heap.number(of: target)) { pending.append(target) }
      }
    }
  }
}
