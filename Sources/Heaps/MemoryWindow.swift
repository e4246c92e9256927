// Reading memory in address order without keeping it: what passes over whole heaps need.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// A window that moves upward over memory, as large as fits the processor's second-level cache.
///
/// Nothing is kept of what it has left. Memory that was never touched is left out where the image tells; unreadable pages always.
public final class MemoryWindow {
  private let mirror: MemoryMirror
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: MemoryMirror.chunkSize, alignment: 64)
  /// What can be read of the range that it moves over, in address order, and which part comes next.
  private var parts: [Range<Address>] = []
  private var nextPart = 0
  /// The addresses that are in the buffer.
  private var low: UInt64 = 0
  private var high: UInt64 = 0
  private var limit: UInt64 = 0

  public init(_ mirror: MemoryMirror) { self.mirror = mirror }

  deinit { buffer.deallocate() }

  /// Starts to move over a range, which must not lie below one that it has moved over.
  public func move(to range: Range<Address>) {
    parts = mirror.mapped(range)
    nextPart = 0
    (low, high) = (range.lowerBound.rawValue, range.lowerBound.rawValue)
    limit = range.upperBound.rawValue
  }

  /// Calls `body` for each readable stretch of a part of the range, which must not lie below one that was shown before.
  @inline(__always)
  public func forEachSpan(from start: UInt64, to end: UInt64, _ body: (UInt64, UnsafeRawBufferPointer) -> Void) {
    var position = start
    while position < end {
      if position >= high { load(position) }
      position = max(position, low)
      guard position < end else { return }
      let spanEnd = min(end, high)
      guard position < spanEnd else { return }
      body(position, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[Int(position - low)..<Int(spanEnd - low)]))
      position = spanEnd
    }
  }

  /// The word at `address`, a multiple of 8 that must not lie below one that was asked for before; nil where it can't be read.
  @inline(__always)
  public func word(_ address: UInt64) -> UInt64? {
    if address >= high { load(address) }
    // Memory that was never touched holds zeros.
    guard address >= low, address < high, high - address >= 8 else { return mirror.word(Address(address)) }
    return UnsafeRawPointer(buffer.baseAddress!).load(fromByteOffset: Int(address - low), as: UInt64.self)
  }

  /// Moves to the first readable memory from `start` on, or to the end of the range.
  private func load(_ start: UInt64) {
    var position = start
    while nextPart < parts.count {
      let end = parts[nextPart].upperBound.rawValue
      position = max(position, parts[nextPart].lowerBound.rawValue)
      guard position < end else {
        nextPart += 1
        continue
      }
      let count = min(Int(end - position), buffer.count)
      let read = mirror.image.read(Address(position), into: .init(rebasing: buffer[..<count]))
      if read > 0 {
        low = position
        high = position + UInt64(min(read, count))
        return
      }
      position = (position >> MemoryMirror.pageShift + 1) << MemoryMirror.pageShift
    }
    low = max(start, limit)
    high = low
  }
}
