// Swift objects: their first word points to the metadata of their class (docs/ABI/TypeMetadata.rst of the Swift
// repository; on Linux classes have no Objective-C fields).
// SPDX-License-Identifier: Apache-2.0

import ProcessImage

/// Kinds of metadata (MetadataKind.def).
enum SwiftMetadataKind {
  static let classType: UInt64 = 0
  static let structType: UInt64 = 0x200
  static let enumType: UInt64 = 0x201
  static let optional: UInt64 = 0x202
  static let tuple: UInt64 = 0x301
  static let function: UInt64 = 0x302
  static let existential: UInt64 = 0x303
  static let metatype: UInt64 = 0x304
  static let heapLocalVariable: UInt64 = 0x400
  static let heapGenericLocalVariable: UInt64 = 0x500
  static let errorObject: UInt64 = 0x501
  static let task: UInt64 = 0x502
  static let job: UInt64 = 0x503
}

extension TypeNames {
  /// What kind of object has `address` for its first word.
  func swiftType(metadata address: Address) -> Finding? {
    guard let kind = image.load(address, as: UInt64.self) else { return nil }
    let reader = SwiftMetadataReader(image: image, symbolizer: symbolizer)
    switch kind {
    case SwiftMetadataKind.classType:
      guard let type = reader.classType(address) else { return nil }
      return .type(type.name, minimumSize: type.instanceSize)
    case SwiftMetadataKind.heapLocalVariable:
      // Offset to the first captured value, then the description of what is captured.
      guard symbolizer.module(containing: address) != nil, let offset = image.load(address + 8, as: UInt32.self),
        (16...4096).contains(offset), let captures = image.load(address + 16, as: UInt64.self),
        captures == 0 || symbolizer.module(containing: Address(captures)) != nil
      else { return nil }
      return .type(TypeName(name: "closure context", language: .swift), minimumSize: 16)
    case SwiftMetadataKind.heapGenericLocalVariable:
      // Offset to the value, then the metadata of its type.
      guard let offset = image.load(address + 8, as: UInt32.self), (16...4096).contains(offset),
        let boxed = image.load(address + 16, as: UInt64.self), let type = reader.type(Address(boxed))
      else { return nil }
      return .type(
        TypeName(name: "boxed \(type.name)", module: type.module, language: .swift), minimumSize: UInt64(offset))
    case SwiftMetadataKind.errorObject: return symbolizer.module(containing: address) == nil ? nil : .errorBox
    case SwiftMetadataKind.task: return runtimeObject("task", address)
    case SwiftMetadataKind.job: return runtimeObject("job", address)
    default: return nil
    }
  }

  private func runtimeObject(_ name: String, _ metadata: Address) -> Finding? {
    guard symbolizer.module(containing: metadata) != nil else { return nil }
    return .type(TypeName(name: name, module: "_Concurrency", language: .swift), minimumSize: 16)
  }

  /// An error's box has the metadata of its type as the third word, the witness table after it.
  func swiftError(_ block: Address) -> TypeName? {
    let reader = SwiftMetadataReader(image: image, symbolizer: symbolizer)
    guard let metadata = image.load(block + 16, as: UInt64.self), let type = reader.type(Address(metadata))
    else { return nil }
    return TypeName(name: "error \(type.name)", module: type.module, language: .swift)
  }
}
