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
  /// Blocks that were first reached otherwise than by a plain word.
  var disguises = DisguiseCounts()
  let scanner: BlockScanner
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
    // Last, so that these count only what nothing else leads to.
    for word in roots.kernelWords {
      guard let block = scanner.target(of: word.value), insert(block) else { continue }
      disguises[.kernel(word.holder)] += 1
      drain()
    }
    followUnaligned(roots)
  }

  @inline(__always)
  private mutating func mark(_ word: UInt64) {
    guard let block = scanner.target(of: word), insert(block) else { return }
    if let disguise = scanner.disguise(of: word, pointingTo: block) { disguises[disguise] += 1 }
  }

  /// Marks a block; true if it was not marked before.
  @inline(__always)
  mutating func insert(_ block: BlockIndex) -> Bool {
    guard marks.insert(scanner.heap.number(of: block)) else { return false }
    pending.append(block)
    return true
  }

  mutating func drain() {
    let scanner = scanner
    while let block = pending.popLast() {
      bytesScanned += scanner.forEachTarget(of: block) { _, word, target in
        if insert(target), let disguise = scanner.disguise(of: word, pointingTo: target) { disguises[disguise] += 1 }
      }
    }
  }
}
