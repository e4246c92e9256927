// The types of heap blocks, told by their first word: Swift objects and C++ objects with virtual functions.
// SPDX-License-Identifier: Apache-2.0

import ProcessImage

/// The type of a heap block.
public struct TypeName: Hashable, Sendable {
  public enum Language: Sendable { case swift, cplusplus }

  /// As a programmer writes it, without the Swift module: `Session`, `Box<Int>`, `net::Session`.
  public var name: String
  /// The Swift module that declares it; nil for C++ and for what the compiler makes by itself, such as closure
  /// contexts.
  public var module: String?
  public var language: Language

  public init(name: String, module: String? = nil, language: Language) {
    self.name = name
    self.module = module
    self.language = language
  }
}

/// Names the types of heap blocks in an image. Not safe for use from several threads.
public final class TypeNames {
  /// What a block's first word points to.
  enum Finding {
    /// A type, and the fewest bytes that a block of it has.
    case type(TypeName, minimumSize: UInt64)
    /// The box of a Swift error, which holds the type itself.
    case errorBox
  }

  let image: any ProcessImage
  let symbolizer: Symbolizer
  private var cache: [Address: Finding?] = [:]
  var fieldCache: [Address: [Field]] = [:]

  public init(image: any ProcessImage, symbolizer: Symbolizer) {
    self.image = image
    self.symbolizer = symbolizer
  }

  /// What a block's first word tells of its type.
  public enum FirstWord: Sendable {
    case none
    /// A type, and the fewest bytes that a block of it has.
    case type(TypeName, minimumSize: UInt64)
    /// The block itself holds its type: ask for that block's.
    case perBlock
  }

  /// What `word` tells as the first of a block.
  public func firstWord(_ word: UInt64) -> FirstWord {
    switch finding(word) {
    case .type(let name, let minimumSize): .type(name, minimumSize: minimumSize)
    case .errorBox: .perBlock
    case nil: .none
    }
  }

  /// The type of the block at `address`, or nil where its first word doesn't tell.
  /// - Parameter size: the block's usable bytes.
  public func typeName(ofBlockAt address: Address, size: UInt64) -> TypeName? {
    guard size >= 8, let word = image.load(address, as: UInt64.self) else { return nil }
    return typeName(ofBlockAt: address, size: size, firstWord: word)
  }

  /// The same, for callers that have read the block's first word already.
  public func typeName(ofBlockAt address: Address, size: UInt64, firstWord: UInt64) -> TypeName? {
    guard size >= 8 else { return nil }
    switch finding(firstWord) {
    case .type(let name, let minimumSize): return size >= minimumSize ? name : nil
    case .errorBox: return size >= 40 ? swiftError(address) : nil
    case nil: return nil
    }
  }

  private func finding(_ firstWord: UInt64) -> Finding? {
    let pointer = Address(firstWord)
    guard firstWord & 7 == 0, firstWord >= 4096 else { return nil }
    if let known = cache[pointer] { return known }
    // Most first words are no pointers at all; remembering those would fill memory.
    guard image.mapping(containing: pointer) != nil else { return nil }
    let finding = swiftType(metadata: pointer) ?? cplusplusType(vtable: pointer)
    cache[pointer] = .some(finding)
    return finding
  }
}
