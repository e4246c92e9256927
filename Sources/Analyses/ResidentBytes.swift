// How much of a stretch of memory is resident, asked in address order.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// Counts resident bytes of one stretch after another. Every byte is counted once at most, even where stretches overlap.
struct ResidentBytes {
  /// In address order, without overlaps.
  private let resident: [Range<Address>]
  private var index = 0
  private var position = Address(0)

  init(_ resident: [Range<Address>]) { self.resident = resident }

  /// The resident bytes between `start` and `end` that lie above all that was asked for before.
  mutating func count(from start: Address, to end: Address) -> UInt64 {
    position = max(position, start)
    var bytes: UInt64 = 0
    while position < end, index < resident.count {
      let range = resident[index]
      if range.upperBound <= position {
        index += 1
        continue
      }
      let from = max(position, range.lowerBound)
      guard from < end else { break }
      let to = min(end, range.upperBound)
      bytes &+= to - from
      position = to
    }
    position = max(position, end)
    return bytes
  }
}

extension [Range<Address>] {
  /// The parts of these ranges that are in none of `others`; both in address order and without overlaps.
  func subtracting(_ others: [Range<Address>]) -> [Range<Address>] {
    var result: [Range<Address>] = []
    var next = 0
    for range in self {
      var start = range.lowerBound
      while next < others.count, others[next].upperBound <= start { next += 1 }
      var hole = next
      while hole < others.count, others[hole].lowerBound < range.upperBound {
        if others[hole].lowerBound > start { result.append(start..<others[hole].lowerBound) }
        start = Swift.max(start, others[hole].upperBound)
        hole += 1
      }
      if start < range.upperBound { result.append(start..<range.upperBound) }
    }
    return result
  }
}
