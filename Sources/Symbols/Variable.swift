// What a look-up of a variable yields.
// SPDX-License-Identifier: Apache-2.0

import ProcessImage

/// A variable or function that an address lies in.
public struct Variable: Hashable, Sendable {
  /// The readable name: `cache`, `Settings.limit`, `net::pool`.
  public var name: String
  /// The name as the symbol table has it; empty where only debug information names it.
  public var rawName: String
  public var isFunction: Bool
  /// Its type as a programmer writes it, where debug information tells.
  public var type: String?
  /// The bytes it takes, where known.
  public var size: UInt64?
  /// Where it is declared, where debug information tells.
  public var file: String?
  public var line: Int?
  /// The function that it is local to.
  public var function: String?
  /// The path of the executable or library.
  public var module: String
  /// Bytes from its start to the address that was asked for.
  public var offset: UInt64
  /// The part at that offset, as `.clients[3].name`, and the part's type; where debug information tells.
  public var field: String?
  public var fieldType: String?

  public init(
    name: String, rawName: String = "", isFunction: Bool = false, type: String? = nil, size: UInt64? = nil, file: String? = nil,
    line: Int? = nil, function: String? = nil, module: String = "", offset: UInt64 = 0, field: String? = nil,
    fieldType: String? = nil
  ) {
    self.name = name
    self.rawName = rawName
    self.isFunction = isFunction
    self.type = type
    self.size = size
    self.file = file
    self.line = line
    self.function = function
    self.module = module
    self.offset = offset
    self.field = field
    self.fieldType = fieldType
  }
}
