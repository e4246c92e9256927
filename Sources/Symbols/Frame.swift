// What a lookup yields: a source-level frame, or a symbol.
// SPDX-License-Identifier: Apache-2.0

import ProcessImage

/// One source-level frame of a call stack. Inlined calls have frames of their own.
public struct Frame: Hashable, Sendable {
  /// The demangled name; `module+0x…` where no name is known, and the address alone outside of any module.
  public var function: String
  /// The name as the program's tables have it, mangled; empty where none is known.
  public var rawName: String
  /// The source file's path as the compiler recorded it.
  public var file: String?
  /// The line, from 1. Nil also for code that the compiler ascribes to no line.
  public var line: Int?
  /// The path of the executable or library, empty outside of any.
  public var module: String
  /// Bytes from the start of the function (of the enclosing one, for inlined frames), or of the module where no name
  /// is known.
  public var offset: UInt64
  /// Whether the call was inlined into the frame that follows.
  public var inlined: Bool

  public init(
    function: String, rawName: String = "", file: String? = nil, line: Int? = nil, module: String = "",
    offset: UInt64 = 0, inlined: Bool = false
  ) {
    self.function = function
    self.rawName = rawName
    self.file = file
    self.line = line
    self.module = module
    self.offset = offset
    self.inlined = inlined
  }
}

/// A symbol that an address lies in.
public struct SymbolLocation: Hashable, Sendable {
  /// The demangled name.
  public var name: String
  /// The name as the symbol table has it.
  public var rawName: String
  /// Bytes from the symbol's start to the address.
  public var offset: UInt64
  /// The path of the executable or library.
  public var module: String

  public init(name: String, rawName: String, offset: UInt64, module: String) {
    self.name = name
    self.rawName = rawName
    self.offset = offset
    self.module = module
  }
}
