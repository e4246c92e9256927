// Words that may be pointers, looked up many at a time.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Heaps
import ProcessImage

/// A word in a block that points to another.
struct Reference {
  var word: UInt64
  /// Where the word lies.
  var address: UInt64
  var source: UInt32
  var target: UInt32
  /// Nil for a plain address.
  var disguise: Disguise?
}

/// Collects words and looks them up in three steps, so that the processor waits for the memory of all of them at once.
struct CandidateQueue {
  private struct Candidate {
    var word: UInt64
    var address: UInt64
    var source: UInt32
    /// The number of the block that the word is the very start of, or -1.
    var number = -1
  }

  private static let capacity = 64
  private let scanner: BlockScanner
  private let ranks: Ranks
  private var queue: [Candidate] = []

  init(_ scanner: BlockScanner, _ ranks: Ranks) {
    self.scanner = scanner
    self.ranks = ranks
    queue.reserveCapacity(Self.capacity)
  }

  /// Adds the words of a part of a node's memory; calls `body` for each reference that is known by now.
  @inline(__always)
  mutating func scan(_ start: UInt64, _ bytes: UnsafeRawBufferPointer, of node: UInt32, _ body: (Reference) -> Void) {
    for index in 0..<bytes.count / 8 {
      let word = bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
      guard scanner.mayBeReference(word) else { continue }
      queue.append(Candidate(word: word, address: start + UInt64(index) * 8, source: node))
      if queue.count == Self.capacity { flush(body) }
    }
  }

  /// Calls `body` for each reference among what was added, in that order.
  @inline(never)
  mutating func flush(_ body: (Reference) -> Void) {
    let heap = scanner.heap
    for candidate in queue { heap.prefetchPage(at: candidate.word) }
    ranks.words.withUnsafeBufferPointer { words in
      for index in queue.indices {
        guard let number = heap.number(ofBlockAt: queue[index].word) else { continue }
        queue[index].number = number
        mallow_prefetch(words.baseAddress! + number >> 6)
      }
    }
    for candidate in queue {
      let (word, address, source) = (candidate.word, candidate.address, candidate.source)
      if candidate.number >= 0, let rank = ranks.rank(of: candidate.number) {
        body(Reference(word: word, address: address, source: source, target: UInt32(rank), disguise: nil))
      } else if let (node, disguise) = scanner.reference(word, ranks) {
        body(Reference(word: word, address: address, source: source, target: node, disguise: disguise))
      }
    }
    queue.removeAll(keepingCapacity: true)
  }
}
