// Context descriptors: where a Swift type is declared.
// SPDX-License-Identifier: Apache-2.0

import ProcessImage

extension SwiftMetadataReader {
  /// The declared name of a class, structure or enumeration within the types around it, and its module.
  ///
  /// A context descriptor: flags (4 bytes, the kind in the low 5 bits: 0 module, 1 extension, 2 anonymous, 3
  /// protocol, 16 class, 17 structure, 18 enumeration), the parent context and the name, each relative to where it is
  /// stored.
  func declaredType(_ descriptor: Address, depth: Int = 0) -> TypeReference? {
    guard depth < 4, let kind = contextKind(descriptor), (16...18).contains(kind), let name = contextName(descriptor)
    else { return nil }
    var type = TypeReference(name: name)
    var context = descriptor
    for _ in 0..<32 {
      guard let parent = relativeOrIndirect(context + 4), let kind = contextKind(parent) else { break }
      context = parent
      switch kind {
      case 0:
        type.module = contextName(parent)
        return type
      case 1:
        if let extended = extendedType(parent).flatMap({ declaredType($0, depth: depth + 1) }) {
          type.name = extended.name + "." + type.name
        }
      case 16...18:
        guard let name = contextName(parent) else { return type }
        type.name = name + "." + type.name
      default: break
      }
    }
    return type
  }

  /// The descriptor of the type that an extension extends, where its name is a plain reference to a descriptor: the
  /// byte 1 or 2, then a relative pointer (docs/ABI/Mangling.rst, "Symbolic references").
  private func extendedType(_ descriptor: Address) -> Address? {
    guard let name = relative(descriptor + 8), let kind = image.load(name, as: UInt8.self), kind == 1 || kind == 2,
      let target = relative(name + 1)
    else { return nil }
    return kind == 1 ? target : image.load(target, as: UInt64.self).map { Address($0) }
  }

  private func contextKind(_ descriptor: Address) -> UInt32? {
    guard descriptor.rawValue & 3 == 0, symbolizer.module(containing: descriptor) != nil,
      let flags = image.load(descriptor, as: UInt32.self)
    else { return nil }
    return flags & 0x1f
  }

  func contextName(_ descriptor: Address) -> String? {
    guard let pointer = relative(descriptor + 8), symbolizer.module(containing: pointer) != nil,
      let name = image.string(pointer, limit: 512), !name.isEmpty, name.utf8.count < 512,
      name.utf8.allSatisfy({ $0 > 32 && $0 != 127 })
    else { return nil }
    return name
  }

  /// The target of a signed 4-byte distance from where that is stored.
  func relative(_ field: Address) -> Address? {
    guard let distance = image.load(field, as: Int32.self), distance != 0 else { return nil }
    return field + UInt64(bitPattern: Int64(distance))
  }

  /// The same; with the low bit set the distance leads to a pointer to the target.
  private func relativeOrIndirect(_ field: Address) -> Address? {
    guard let distance = image.load(field, as: Int32.self), distance != 0 else { return nil }
    let target = field + UInt64(bitPattern: Int64(distance & ~1))
    return distance & 1 == 0 ? target : image.load(target, as: UInt64.self).map { Address($0) }
  }
}
