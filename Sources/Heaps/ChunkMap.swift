// Where the blocks on pages of chunks start: a bit for every 16 bytes.
// SPDX-License-Identifier: Apache-2.0

/// The numbers of the blocks on pages of chunks. Memory: under 1% of those pages, however small the blocks.
struct ChunkMap: Sendable {
  /// From this size on a block has a page of its own, so that looking for the start of one is a short search.
  static let largestChunk: UInt64 = 128 << 10

  let starts: BitSet

  init(starts: BitSet = BitSet(capacity: 0)) { self.starts = starts }

  /// The number of the last block that starts at `number` or before. There must be one.
  @inline(__always)
  func start(atOrBefore number: Int) -> Int {
    let upTo = starts.words[number >> 6] << UInt64(63 - number & 63)
    if upTo != 0 { return number - upTo.leadingZeroBitCount }
    var word = number >> 6
    while word > 0 {
      word -= 1
      if starts.words[word] != 0 { return word << 6 + 63 - starts.words[word].leadingZeroBitCount }
    }
    return 0
  }

  /// The number of the first block that starts after `number`, or `end` where none does before that.
  @inline(__always)
  func start(after number: Int, end: Int) -> Int {
    guard number + 1 < end else { return end }
    var word = (number + 1) >> 6
    var bits = starts.words[word] & .max << UInt64((number + 1) & 63)
    while bits == 0 {
      word += 1
      if word << 6 >= end { return end }
      bits = starts.words[word]
    }
    return min(end, word << 6 + bits.trailingZeroBitCount)
  }
}
