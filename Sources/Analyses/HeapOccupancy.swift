// What a heap's resident memory holds, by arena, by part and by size of block.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Bytes of one part of a heap.
public struct PartOccupancy: Hashable, Sendable {
  /// Blocks, whether their memory is resident or not.
  public var blocks: Int
  /// Bytes, resident or not.
  public var bytes: UInt64
  /// Resident bytes.
  public var resident: UInt64

  public init(blocks: Int = 0, bytes: UInt64 = 0, resident: UInt64 = 0) {
    self.blocks = blocks
    self.bytes = bytes
    self.resident = resident
  }

  static func += (a: inout Self, b: Self) {
    a.blocks += b.blocks
    a.bytes &+= b.bytes
    a.resident &+= b.resident
  }
}

/// The blocks of one size.
public struct SizeOccupancy: Hashable, Sendable {
  /// Bytes from one block to the next.
  public var size: UInt64
  public var live = PartOccupancy()
  public var free = PartOccupancy()
}

extension SizeOccupancy {
  /// Sizes up to 1 KiB are classes of their own, above there are eight to each doubling: a heap of any size has few classes.
  static func sizeClass(_ size: UInt64) -> UInt64 {
    guard size > 1024, size < 1 << 62 else { return size }
    let step = UInt64(1) << UInt64(60 - (size - 1).leadingZeroBitCount)
    return (size + step - 1) & ~(step - 1)
  }
}

/// A heap's memory and how much of it is resident.
public struct HeapOccupancy: Hashable, Sendable {
  public struct Arena: Hashable, Sendable {
    public let name: String
    fileprivate let parts: [PartOccupancy]

    public subscript(_ part: HeapPart) -> PartOccupancy { parts[part.rawValue] }
  }

  public let arenas: [Arena]
  /// Smallest first.
  public let sizes: [SizeOccupancy]
  /// Resident bytes of the heap's memory that the walk through it did not reach: 0 but in a damaged heap.
  public let unreached: UInt64

  /// - Parameter resident: the target's resident pages, in address order, without overlaps.
  public init(_ heap: some HeapMap, resident: [Range<Address>]) {
    let names = heap.arenaNames
    let width = HeapPart.allCases.count
    var parts = [PartOccupancy](repeating: PartOccupancy(), count: names.count * width)
    var sizes: [UInt64: SizeOccupancy] = [:]
    var cursor = ResidentBytes(resident)
    var last: (size: UInt64, part: HeapPart) = (0, .metadata)
    var sum = PartOccupancy()
    func flush() {
      if last.size > 0 {
        let size = SizeOccupancy.sizeClass(last.size)
        if last.part == .live {
          sizes[size, default: SizeOccupancy(size: size)].live += sum
        } else {
          sizes[size, default: SizeOccupancy(size: size)].free += sum
        }
      }
      sum = PartOccupancy()
    }
    heap.forEachExtent { extent in
      let found = PartOccupancy(
        blocks: extent.blocks, bytes: extent.end - extent.start, resident: cursor.count(from: extent.start, to: extent.end))
      parts[extent.arena * width + extent.part.rawValue] += found
      // Neighbours are mostly of one size: the table is looked at once for a run of them.
      if extent.blockSize != last.size || extent.part != last.part {
        flush()
        last = (extent.blockSize, extent.part)
      }
      sum += found
    }
    flush()
    arenas = names.indices.map { Arena(name: names[$0], parts: Array(parts[$0 * width..<($0 + 1) * width])) }
    self.sizes = sizes.values.sorted { $0.size < $1.size }
    var whole = ResidentBytes(resident)
    let all = heap.heapRanges.reduce(0 as UInt64) { $0 &+ whole.count(from: $1.lowerBound, to: $1.upperBound) }
    let reached = parts.reduce(0 as UInt64) { $0 &+ $1.resident }
    unreached = all > reached ? all - reached : 0
  }

  /// The sum of a part over all arenas.
  public subscript(_ part: HeapPart) -> PartOccupancy {
    arenas.reduce(into: PartOccupancy()) { $0 += $1[part] }
  }

  /// All resident bytes of the heap.
  public var resident: UInt64 { HeapPart.allCases.reduce(unreached) { $0 &+ self[$1].resident } }
}
