// The stored properties and members of objects: which one lies at an offset.
// SPDX-License-Identifier: Apache-2.0

import ProcessImage

/// A stored property of a Swift class or a data member of a C++ class.
public struct Field: Hashable, Sendable {
  public var name: String
  /// Bytes from the start of the object.
  public var offset: UInt64
  /// Its size in bytes; nil where that is not recorded.
  public var size: UInt64?
  /// Its declared type, where that is recorded in words.
  public var type: String?

  public init(name: String, offset: UInt64, size: UInt64? = nil, type: String? = nil) {
    self.name = name
    self.offset = offset
    self.size = size
    self.type = type
  }
}

extension TypeNames {
  /// The field that lies at `offset` in the object in the block at `address`: `handler`; `[]` for an element of an array's
  /// storage. Nil where nothing tells.
  /// - Parameter size: the block's usable bytes.
  public func fieldName(ofBlockAt address: Address, size: UInt64, at offset: UInt64) -> String? {
    field(ofBlockAt: address, size: size, at: offset)?.name
  }

  /// The same with the field's type, and with its offset in the block.
  public func field(ofBlockAt address: Address, size: UInt64, at offset: UInt64) -> Field? {
    guard let word = image.load(address, as: UInt64.self), let type = typeName(ofBlockAt: address, size: size, firstWord: word)
    else { return nil }
    let fields = fields(ofType: type, firstWord: Address(word))
    if type.language == .swift, type.name.hasPrefix("_ContiguousArrayStorage<"), offset >= 32 {
      return Field(name: "[]", offset: offset)
    }
    guard let field = fields.last(where: { $0.offset <= offset }), offset < size else { return nil }
    if let extent = field.size, offset - field.offset >= extent { return nil }
    return field
  }

  private func fields(ofType type: TypeName, firstWord: Address) -> [Field] {
    if let known = fieldCache[firstWord] { return known }
    let found =
      switch type.language {
      case .swift: SwiftMetadataReader(image: image, symbolizer: symbolizer).fields(ofClass: firstWord)
      case .cplusplus: cplusplusFields(vtable: firstWord)
      }
    let sorted = found.sorted { $0.offset < $1.offset }
    fieldCache[firstWord] = sorted
    return sorted
  }

  /// The members of the class of a vtable, by the debug information of the file that the vtable is in. Of the block that
  /// `std::make_shared` allocates, those of the object behind its counts.
  private func cplusplusFields(vtable: Address) -> [Field] {
    guard let name = className(ofVtable: vtable), let information = symbolizer.module(containing: vtable)?.file?.debugInformation
    else { return [] }
    let object = unwrapSharedPointer(name)
    let start: UInt64 =
      name.hasPrefix("std::_Sp_counted_ptr_inplace<") ? 16 : name.hasPrefix("std::__shared_ptr_emplace<") ? 24 : 0
    guard object == name || start > 0 else { return [] }
    return information.members(ofClass: object).map { Field(name: $0.name, offset: $0.offset + start, size: $0.size, type: $0.type) }
  }
}
