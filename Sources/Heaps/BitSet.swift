// A dense set of block numbers: one bit each, so that the marks of 50 million blocks fit a few caches' worth of memory.
// SPDX-License-Identifier: Apache-2.0

/// A fixed-size set of small integers as a bitmap. Out-of-range members trap, as an array's index does.
public struct BitSet: Sendable {
  @inlinable
  public var words: [UInt64] { storage }
  @usableFromInline var storage: [UInt64]
  /// Members are in `0 ..< capacity`.
  public private(set) var capacity: Int

  public init(capacity: Int) {
    self.capacity = capacity
    storage = [UInt64](repeating: 0, count: (capacity + 63) / 64)
  }

  /// - Parameter words: the bitmap.
  public init(words: [UInt64]) {
    storage = words
    capacity = words.count * 64
  }

  /// Makes room for members below `capacity`.
  mutating func grow(to capacity: Int) {
    guard capacity > self.capacity else { return }
    storage.append(contentsOf: repeatElement(0, count: (capacity + 63) / 64 - storage.count))
    self.capacity = capacity
  }

  @inlinable
  public func contains(_ member: Int) -> Bool { storage[member >> 6] >> UInt64(member & 63) & 1 != 0 }

  /// Adds `member`; true if it was not there before.
  @inlinable
  @discardableResult
  public mutating func insert(_ member: Int) -> Bool {
    let bit = UInt64(1) << UInt64(member & 63)
    defer { storage[member >> 6] |= bit }
    return storage[member >> 6] & bit == 0
  }

  /// Removes `member`; true if it was there.
  @inlinable
  @discardableResult
  public mutating func remove(_ member: Int) -> Bool {
    let bit = UInt64(1) << UInt64(member & 63)
    defer { storage[member >> 6] &= ~bit }
    return storage[member >> 6] & bit != 0
  }

  /// Adds all of `range`.
  public mutating func insert(_ range: Range<Int>) {
    var member = range.lowerBound
    while member < range.upperBound {
      let inWord = member & 63
      let count = min(64 - inWord, range.upperBound - member)
      storage[member >> 6] |= (count == 64 ? .max : (1 << UInt64(count)) - 1) << UInt64(inWord)
      member += count
    }
  }

  /// How many members of `range` the set has.
  public func count(in range: Range<Int>) -> Int {
    var count = 0
    var member = range.lowerBound
    while member < range.upperBound {
      let inWord = member & 63
      let width = min(64 - inWord, range.upperBound - member)
      let mask: UInt64 = width == 64 ? .max : (1 << UInt64(width)) - 1
      count += (storage[member >> 6] >> UInt64(inWord) & mask).nonzeroBitCount
      member += width
    }
    return count
  }

  /// The end of the run from `member` upward that is all members, or none of them; `limit` at most.
  func runEnd(from member: Int, limit: Int) -> Int {
    let flip: UInt64 = contains(member) ? .max : 0
    var index = member >> 6
    var word = (storage[index] ^ flip) & (.max << UInt64(member & 63))
    while word == 0 {
      index += 1
      if index << 6 >= limit { return limit }
      word = storage[index] ^ flip
    }
    return min(limit, index << 6 + word.trailingZeroBitCount)
  }

  public var isEmpty: Bool { storage.allSatisfy { $0 == 0 } }

  public var count: Int { storage.reduce(0) { $0 + $1.nonzeroBitCount } }

  /// Members of this set that `other`, of the same capacity, lacks.
  public func subtracting(_ other: BitSet) -> BitSet {
    var result = self
    for index in storage.indices { result.storage[index] &= ~other.storage[index] }
    return result
  }

  /// Calls `body` for each member of `range` in ascending order.
  @inlinable
  public func forEach(in range: Range<Int>, _ body: (Int) -> Void) {
    guard !range.isEmpty else { return }
    for index in range.lowerBound >> 6...(range.upperBound - 1) >> 6 {
      var word = storage[index]
      while word != 0 {
        let member = index << 6 + word.trailingZeroBitCount
        word &= word &- 1
        if member >= range.upperBound { return }
        if member >= range.lowerBound { body(member) }
      }
    }
  }
}
