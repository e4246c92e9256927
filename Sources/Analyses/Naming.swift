// What an analysis wants to know of symbols and types. How it is found out is for others.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// One source-level frame of a call stack.
public struct StackFrame: Hashable, Sendable {
  /// The demangled name of the function.
  public var function: String
  public var file: String?
  public var line: Int?
  /// The path of the executable or library.
  public var module: String
  /// Whether the call was inlined into the frame that follows.
  public var inlined: Bool

  public init(function: String, file: String? = nil, line: Int? = nil, module: String = "", inlined: Bool = false) {
    self.function = function
    self.file = file
    self.line = line
    self.module = module
    self.inlined = inlined
  }
}

/// Turns return addresses into frames.
public protocol StackSymbolizing {
  /// The frames of a stack, innermost first; inlined calls have frames of their own.
  func frames(_ returnAddresses: [Address]) -> [StackFrame]
}

/// Tells what lies in a block.
public protocol TypeNaming {
  /// The name of the type of the object in the block of `size` bytes at `address`, or nil where nothing tells.
  func typeName(at address: Address, size: UInt64) -> String?

  /// What a block's first word tells of its type.
  func firstWordType(_ word: UInt64) -> FirstWordType

  /// The name of the field at `offset` bytes in the object in that block: `handler`, or `[]` for an element of an array; nil
  /// where nothing tells.
  func fieldName(at address: Address, size: UInt64, offset: UInt64) -> String?
}

extension TypeNaming {
  public func firstWordType(_ word: UInt64) -> FirstWordType { .perBlock }
  public func fieldName(at address: Address, size: UInt64, offset: UInt64) -> String? { nil }
}

/// What a block's first word tells of its type.
public enum FirstWordType: Hashable, Sendable {
  case none
  /// A type, and the fewest bytes that a block of it has.
  case named(String, minimumSize: UInt64)
  /// The block's contents decide: ask for its type.
  case perBlock
}

/// A place outside the heap that points into it.
public struct RootName: Hashable, Sendable {
  /// `sessions`, `data of redis-server`, `the stack of thread 12`.
  public var name: String
  /// Where else that name holds.
  public var range: Range<Address>
  /// Whether it is one variable, so that offsets in it say something.
  public var isVariable: Bool
  /// The type of what the pointer there points to, where it is declared.
  public var pointee: String?

  public init(name: String, range: Range<Address>, isVariable: Bool, pointee: String? = nil) {
    self.name = name
    self.range = range
    self.isVariable = isVariable
    self.pointee = pointee
  }
}

/// Tells what lies outside the heap.
public protocol RootNaming {
  func rootName(at address: Address) -> RootName?
}
