// Where blocks of any size start: a bit for every 16 bytes.
// SPDX-License-Identifier: Apache-2.0

/// The starts of the blocks on pages of chunks, by block number. Memory: about 1.2% of those pages, however small the blocks.
struct ChunkMap: Sendable {
  private(set) var starts: BitSet
  /// By word of `starts`: the last word up to it in which a block starts. So a large block costs no search.
  private var lastWords: [UInt32]

  init() { self.init(starts: BitSet(capacity: 0)) }

  init(starts: BitSet) {
    self.starts = starts
    var last: UInt32 = 0
    lastWords = starts.words.indices.map { index in
      if starts.words[index] != 0 { last = UInt32(truncatingIfNeeded: index) }
      return last
    }
  }

  /// The number of the last block that starts at `number` or before. There must be one.
  @inline(__always)
  func start(atOrBefore number: Int) -> Int {
    let word = number >> 6
    let shift = UInt64(63 - number & 63)
    let upTo = starts.words[word] << shift
    if upTo != 0 { return number - upTo.leadingZeroBitCount }
    guard word > 0 else { return 0 }
    let last = Int(lastWords[word - 1])
    return last << 6 + 63 - min(63, starts.words[last].leadingZeroBitCount)
  }

  /// The number of the first block that starts after `number`, or `end` where none does before that.
  func start(after number: Int, end: Int) -> Int {
    var word = (number + 1) >> 6
    guard number + 1 < end else { return end }
    var bits = starts.words[word] & .max << UInt64((number + 1) & 63)
    while bits == 0 {
      word += 1
      if word << 6 >= end { return end }
      bits = starts.words[word]
    }
    return min(end, word << 6 + bits.trailingZeroBitCount)
  }
}
