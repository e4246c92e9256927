// Which memory is the allocator's own and what for, without reading its blocks: this takes no stop of the target.
// SPDX-License-Identifier: Apache-2.0
import CMallow
import ProcessImage

/// A part of a target's memory that its allocator has taken.
public struct AllocatorMemory: Hashable, Sendable {
  public var range: Range<Address>
  /// The allocator's word for it, such as `Mallow region`.
  public var name: String

  public init(_ range: Range<Address>, name: String) {
    self.range = range
    self.name = name
  }
}

extension MallowHeap {
  /// The memory of Mallow's allocator: regions, huge blocks, and its books.
  /// - Parameter address: that of the target's variable `mallow_introspection`.
  /// - Throws: ``HeapError`` where there is no heap of this version.
  public static func memory(_ mirror: MemoryMirror, introspection address: Address) throws(HeapError) -> [AllocatorMemory] {
    var reader = try MallowHeapReader(mirror, introspection: address)
    let regions = reader.readRegions().map {
      AllocatorMemory(
        Address($0.base)..<Address($0.end),
        name: Int32(bitPattern: $0.record.kind) == MALLOW_MAP_REGION ? "Mallow region" : "Mallow huge block")
    }
    let books = reader.metadataRanges([], reader.readMetadata()).map { AllocatorMemory($0, name: "Mallow's books") }
    return regions + books
  }
}
