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
    withUnsafeTemporaryAllocation(byteCount: Self.chunkSize, alignment: 64) { buffer in
      for part in mapped(range) {
        var position = part.lowerBound.rawValue
        while position < part.upperBound.rawValue {
          let count = min(Int(part.upperBound.rawValue - position), buffer.count)
          let read = max(0, min(count, image.read(Address(position), into: .init(rebasing: buffer[..<count]))))
          total += UInt64(read)
          if read > 0 { body(Address(position), UnsafeRawBufferPointer(rebasing: buffer[..<read])) }
          position += UInt64(read)
          if read < count { position = (position >> Self.pageShift + 1) << Self.pageShift }
        }
      }
    }
    return total
  }

  /// The parts of `range` that are mapped readable and may hold anything but zeros.
  private func mapped(_ range: Range<Address>) -> [Range<Address>] {
    var result: [Range<Address>] = []
    for mapping in mappings where mapping.isReadable && mapping.start < range.upperBound && mapping.end > range.lowerBound {
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
