// The stored properties of Swift classes, by their reflection metadata.
// SPDX-License-Identifier: Apache-2.0

import ProcessImage

extension SwiftMetadataReader {
  /// The stored properties of a class and its superclasses, with offsets in an instance. Empty where the program was compiled
  /// without reflection metadata, or that is damaged.
  func fields(ofClass metadata: Address) -> [Field] {
    var result: [Field] = []
    var current = metadata
    for _ in 0..<32 {
      guard image.load(current, as: UInt64.self) == SwiftMetadataKind.classType,
        let descriptor = image.load(current + 40, as: UInt64.self), descriptor != 0
      else { break }
      result += ownFields(current, Address(descriptor))
      guard let superclass = image.load(current + 8, as: UInt64.self), superclass != 0 else { break }
      current = Address(superclass)
    }
    return result
  }

  /// Those that the class itself declares. A class descriptor has, from byte 16, a relative pointer to the descriptor of the
  /// fields, and from byte 36 their count and the offset, in words, of the vector of field offsets in the metadata.
  private func ownFields(_ metadata: Address, _ descriptor: Address) -> [Field] {
    guard symbolizer.module(containing: descriptor) != nil, let flags = image.load(descriptor, as: UInt32.self),
      flags & 0x1f == 16, let count = image.load(descriptor + 36, as: UInt32.self), (1...4096).contains(count),
      var vector = image.load(descriptor + 40, as: UInt32.self).map(UInt64.init), vector > 0,
      let records = relative(descriptor + 16)
    else { return [] }
    if flags & 1 << 29 != 0 {
      // With a superclass of another module that may change its layout, the vector lies among the class's own members.
      guard let bounds = relative(descriptor + 24), let start = image.load(bounds, as: Int64.self), (0..<1 << 20).contains(start)
      else { return [] }
      vector += UInt64(start) / 8
    }
    guard vector < 1 << 17 else { return [] }
    // Mangled type name and superclass (4 bytes each), kind and size of a record (2 each), count (4); then records: flags,
    // mangled type name, name (4 each).
    guard let size = image.load(records + 10, as: UInt16.self), size >= 12,
      image.load(records + 12, as: UInt32.self) == count
    else { return [] }
    return (0..<UInt64(count)).compactMap { index in
      let record = records + 16 + index * UInt64(size)
      guard let offset = image.load(metadata + 8 * (vector + index), as: UInt64.self), (16..<1 << 30).contains(offset),
        let pointer = relative(record + 8), symbolizer.module(containing: pointer) != nil,
        let name = image.string(pointer, limit: 512), !name.isEmpty
      else { return nil }
      return Field(name: name, offset: offset)
    }
  }
}
