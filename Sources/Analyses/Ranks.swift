// From the members of a sparse set to places in a dense array.
// SPDX-License-Identifier: Apache-2.0
import Heaps

/// The rank of each member of a set among its members, in constant time.
struct Ranks {
  private let numbers: BitSet
  /// Members before each word of the bitmap.
  private let before: [UInt32]

  init(_ numbers: BitSet) {
    self.numbers = numbers
    var sum: UInt32 = 0
    before = numbers.words.map { word in
      defer { sum += UInt32(word.nonzeroBitCount) }
      return sum
    }
  }

  @inline(__always)
  func rank(of member: Int) -> Int? {
    let word = numbers.words[member >> 6]
    let bit = UInt64(1) << UInt64(member & 63)
    guard word & bit != 0 else { return nil }
    return Int(before[member >> 6]) + (word & (bit - 1)).nonzeroBitCount
  }
}
