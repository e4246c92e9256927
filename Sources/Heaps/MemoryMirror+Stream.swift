// Reading memory once, from low to high, without keeping it: what a search for roots needs.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

extension MemoryMirror {
  /// Calls `body` for each readable stretch of `range` in address order and returns the bytes that it was shown.
  ///
  /// Nothing is kept. Memory that was never touched is left out where the image tells; unreadable pages always.
  @discardableResult
  public func stream(_ range: Range<Address>, _ body: (Address, UnsafeRawBufferPointer) -> Void) -> UInt64 {
    var total: UInt64 = 0
    let window = MemoryWindow(self)
    window.move(to: range)
    window.forEachSpan(from: range.lowerBound.rawValue, to: range.upperBound.rawValue) { start, bytes in
      total += UInt64(bytes.count)
      body(Address(start), bytes)
    }
    return total
  }

  /// The parts of `range` that are mapped readable and may hold anything but zeros.
  func mapped(_ range: Range<Address>) -> [Range<Address>] {
    var result: [Range<Address>] = []
    for mapping in mappings[firstMapping(endingAfter: range.lowerBound.rawValue)...] {
      guard mapping.start < range.upperBound else { break }
      guard mapping.isReadable else { continue }
      let part = max(mapping.start, range.lowerBound)..<min(mapping.end, range.upperBound)
      if mapping.inode == 0, let residentRanges {
        result += residentRanges(part).map { $0.clamped(to: part) }.filter { !$0.isEmpty }
      } else {
        result.append(part)
      }
    }
    return result
  }
}
