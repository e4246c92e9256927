// From the members of a sparse set to places in a dense array.
// SPDX-License-Identifier: Apache-2.0
import Heaps

/// The rank of each member of a set among its members, in constant time and with one look at memory.
struct Ranks {
  /// 64 members of the set's range.
  struct Word {
    var bits: UInt64
    /// Members before them.
    var before: UInt32
  }

  let words: [Word]
  let count: Int

  init(_ numbers: BitSet) {
    var sum: UInt32 = 0
    words = numbers.words.map { bits in
      defer { sum += UInt32(bits.nonzeroBitCount) }
      return Word(bits: bits, before: sum)
    }
    count = Int(sum)
  }

  @inline(__always)
  func rank(of member: Int) -> Int? {
    let word = words[member >> 6]
    let bit = UInt64(1) << UInt64(member & 63)
    guard word.bits & bit != 0 else { return nil }
    return Int(word.before) + (word.bits & (bit - 1)).nonzeroBitCount
  }

  /// The members whose ranks are in `ranks`.
  func members(_ ranks: BitSet) -> BitSet {
    BitSet(
      words: words.map { word in
        var bits = word.bits
        var result: UInt64 = 0
        var rank = Int(word.before)
        while bits != 0 {
          if ranks.contains(rank) { result |= bits & (0 &- bits) }
          rank += 1
          bits &= bits &- 1
        }
        return result
      })
  }
}
