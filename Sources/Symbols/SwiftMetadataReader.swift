// Reads Swift metadata of a target: the names of types, with generic arguments.
// SPDX-License-Identifier: Apache-2.0

import ProcessImage

/// Reads metadata and context descriptors (docs/ABI/TypeMetadata.rst and include/swift/ABI/Metadata.h of the Swift
/// repository). Nothing that is read is trusted: depth and length are bounded, and descriptors must lie in a loaded
/// file.
struct SwiftMetadataReader {
  let image: any ProcessImage
  let symbolizer: Symbolizer

  /// A type's name and its module.
  struct TypeReference {
    var name: String
    var module: String?
  }

  /// The class that metadata describes, and the bytes of an instance.
  ///
  /// Class metadata without Objective-C: kind, superclass, flags (4 bytes), instance address point (4), instance size
  /// (4), alignment mask (2), reserved (2), class size (4), class address point (4), descriptor.
  func classType(_ metadata: Address) -> (name: TypeName, instanceSize: UInt64)? {
    guard let instanceSize = image.load(metadata + 24, as: UInt32.self), (16...(1 << 30)).contains(instanceSize),
      let alignment = image.load(metadata + 28, as: UInt16.self), alignment & (alignment &+ 1) == 0,
      let classSize = image.load(metadata + 32, as: UInt32.self),
      let addressPoint = image.load(metadata + 36, as: UInt32.self), (16..<1 << 20).contains(addressPoint),
      classSize >= addressPoint, let type = nominalType(metadata, kind: SwiftMetadataKind.classType, depth: 0)
    else { return nil }
    return (TypeName(name: type.name, module: type.module, language: .swift), UInt64(instanceSize))
  }

  /// The type that metadata of any kind describes.
  func type(_ metadata: Address, depth: Int = 0) -> TypeReference? {
    guard depth < 8, metadata.rawValue & 7 == 0, let kind = image.load(metadata, as: UInt64.self) else { return nil }
    switch kind {
    case SwiftMetadataKind.classType, SwiftMetadataKind.structType, SwiftMetadataKind.enumType,
      SwiftMetadataKind.optional:
      return nominalType(metadata, kind: kind, depth: depth)
    case SwiftMetadataKind.tuple:
      // Count, labels, and for each element its metadata and offset.
      guard let count = word(metadata, 1), count <= 64,
        let elements = names((0..<count).map { metadata + 24 + 16 * $0 }, depth: depth)
      else { return nil }
      return TypeReference(name: "(\(elements.joined(separator: ", ")))")
    case SwiftMetadataKind.function:
      // Flags with the count of parameters in the low 16 bits, the result, the parameters.
      guard let flags = word(metadata, 1), flags & 0xffff <= 64, let result = names([metadata + 16], depth: depth),
        let parameters = names((0..<flags & 0xffff).map { metadata + 24 + 8 * $0 }, depth: depth)
      else { return nil }
      return TypeReference(name: "(\(parameters.joined(separator: ", "))) -> \(result[0])")
    case SwiftMetadataKind.existential: return existential(metadata)
    case SwiftMetadataKind.metatype:
      guard let instance = names([metadata + 8], depth: depth) else { return nil }
      return TypeReference(name: instance[0] + ".Type")
    default: return nil
    }
  }

  /// Flags (4 bytes; the top bit says that not only classes conform), the count of protocols (4), their descriptors.
  private func existential(_ metadata: Address) -> TypeReference? {
    guard let flags = image.load(metadata + 8, as: UInt32.self), flags & 0x4000_0000 == 0,
      let count = image.load(metadata + 12, as: UInt32.self), count <= 64
    else { return nil }
    if count == 0 { return TypeReference(name: flags & 0x8000_0000 == 0 ? "AnyObject" : "Any") }
    var protocols: [String] = []
    for index in 0..<UInt64(count) {
      guard let descriptor = word(metadata, 2 + index), let name = contextName(Address(descriptor & ~3))
      else { return nil }
      protocols.append(name)
    }
    return TypeReference(name: "any " + protocols.joined(separator: " & "))
  }

  private func nominalType(_ metadata: Address, kind: UInt64, depth: Int) -> TypeReference? {
    let isClass = kind == SwiftMetadataKind.classType
    guard let pointer = word(metadata, isClass ? 5 : 1) else { return nil }
    let descriptor = Address(pointer)
    guard var type = declaredType(descriptor), let flags = image.load(descriptor, as: UInt32.self),
      flags & 0x1f == (isClass ? 16 : kind == SwiftMetadataKind.structType ? 17 : 18)
    else { return nil }
    if flags & 0x80 != 0, let arguments = genericArguments(metadata, descriptor, flags: flags, depth: depth) {
      type.name += "<\(arguments.joined(separator: ", "))>"
    }
    return type
  }

  /// The generic arguments stored in metadata; nil where there are none or they can't be told cheaply (parameter
  /// packs).
  private func genericArguments(_ metadata: Address, _ descriptor: Address, flags: UInt32, depth: Int) -> [String]? {
    let isClass = flags & 0x1f == 16
    // Two relative pointers, counts of parameters, requirements and key arguments (2 bytes each), flags (2), a byte
    // for each parameter.
    let header = descriptor + (isClass ? 44 : 28)
    guard let count = image.load(header + 8, as: UInt16.self), (1...16).contains(count),
      let genericFlags = image.load(header + 14, as: UInt16.self), genericFlags & 1 == 0,
      let start = isClass ? classArguments(metadata, descriptor, flags: flags) : metadata + 16
    else { return nil }
    let parameters = image.bytes(header + 16, count: Int(count))
    // 0x80: the parameter has an argument in the metadata; otherwise it equals another.
    guard parameters.count == count, parameters.allSatisfy({ $0 == 0x80 }) else { return nil }
    return names((0..<UInt64(count)).map { start + 8 * $0 }, depth: depth)
  }

  /// Where a class's generic arguments start: at the first of its own members.
  private func classArguments(_ metadata: Address, _ descriptor: Address, flags: UInt32) -> Address? {
    if flags & 1 << 29 != 0 {
      // A superclass of another module that may change its layout: the runtime stores the offset, in bytes.
      guard let bounds = relative(descriptor + 24), let offset = image.load(bounds, as: Int64.self),
        offset.magnitude < 1 << 20
      else { return nil }
      return metadata + UInt64(bitPattern: offset)
    }
    guard let negative = image.load(descriptor + 24, as: UInt32.self),
      let positive = image.load(descriptor + 28, as: UInt32.self),
      let members = image.load(descriptor + 32, as: UInt32.self), members <= positive || flags & 1 << 28 != 0,
      negative < 1 << 17, positive < 1 << 17
    else { return nil }
    return flags & 1 << 28 != 0 ? metadata - 8 * UInt64(negative) : metadata + 8 * UInt64(positive - members)
  }

  /// The names of the types whose metadata is pointed to at each of `places`; nil where one can't be told.
  private func names(_ places: [Address], depth: Int) -> [String]? {
    var result: [String] = []
    for place in places {
      guard let pointer = image.load(place, as: UInt64.self), let type = type(Address(pointer), depth: depth + 1)
      else { return nil }
      result.append(type.name)
    }
    return result
  }

  private func word(_ base: Address, _ index: UInt64) -> UInt64? { image.load(base + 8 * index, as: UInt64.self) }
}
