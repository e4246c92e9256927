// Source positions and inlined calls at an address.
// SPDX-License-Identifier: Apache-2.0

import CElfutils

extension DebugInformation {
  /// A function at an address, inlined or not, with the position in it.
  struct SourceFrame {
    var name: FunctionName?
    var file: String?
    var line: Int?
    var inlined: Bool
  }

  /// What is known of a link-time address.
  struct Location {
    /// Innermost first; never empty. The last frame's name is nil where only the line is known.
    var frames: [SourceFrame]
    /// Where the enclosing function starts.
    var functionStart: UInt64?
  }

  /// The frames at a link-time address, or nil where no unit covers it.
  func location(_ address: UInt64) -> Location? {
    guard let unit = unit(containing: address) else { return nil }
    var position = position(of: address, in: unit)
    guard var function = unit.function(containing: address) else {
      return Location(frames: [SourceFrame(name: nil, file: position.file, line: position.line, inlined: false)])
    }
    var frames: [SourceFrame] = []
    for var call in inlinedCalls(at: address, in: function).reversed() {
      frames.append(
        SourceFrame(name: name(of: call), file: position.file, line: position.line, inlined: true))
      position = callPosition(of: &call)
    }
    frames.append(SourceFrame(name: name(of: function), file: position.file, line: position.line, inlined: false))
    var start: Dwarf_Addr = 0
    if dwarf_entrypc(&function, &start) != 0 { start = addressRanges(of: &function).first?.0 ?? address }
    return Location(frames: frames, functionStart: start <= address ? start : nil)
  }

  /// The inlined calls that contain `address`, outermost first.
  private func inlinedCalls(at address: UInt64, in function: Dwarf_Die) -> [Dwarf_Die] {
    var calls: [Dwarf_Die] = []
    var scope = function
    var depth = 0
    while depth < 256, let inner = innerScope(of: &scope, at: address) {
      scope = inner
      if tag(&scope) == DW_TAG_inlined_subroutine { calls.append(scope) }
      depth += 1
    }
    return calls
  }

  private func innerScope(of scope: inout Dwarf_Die, at address: UInt64) -> Dwarf_Die? {
    var child = Dwarf_Die()
    guard dwarf_child(&scope, &child) == 0 else { return nil }
    while true {
      switch tag(&child) {
      case DW_TAG_inlined_subroutine, DW_TAG_lexical_block, DW_TAG_try_block, DW_TAG_catch_block:
        if dwarf_haspc(&child, address) == 1 { return child }
      default: break
      }
      guard moveToSibling(&child) else { return nil }
    }
  }

  private func position(of address: UInt64, in unit: Unit) -> (file: String?, line: Int?) {
    guard let row = dwarf_getsrc_die(&unit.entry, address) else { return (nil, nil) }
    var line: Int32 = 0
    dwarf_lineno(row, &line)
    let file = dwarf_linesrc(row, nil, nil).map { String(cString: $0) }
    // Swift's word for code that is in no file.
    if let file, file.hasSuffix("<compiler-generated>") { return (nil, nil) }
    return (file, line > 0 ? Int(line) : nil)
  }

  /// Where an inlined function was called from.
  private func callPosition(of call: inout Dwarf_Die) -> (file: String?, line: Int?) {
    let line = unsigned(DW_AT_call_line, of: &call).flatMap { $0 > 0 ? Int(exactly: $0) : nil }
    var unit = Dwarf_Die()
    var files: OpaquePointer?
    var count = 0
    guard let index = unsigned(DW_AT_call_file, of: &call), dwarf_diecu(&call, &unit, nil, nil) != nil,
      dwarf_getsrcfiles(&unit, &files, &count) == 0, index < count,
      let path = dwarf_filesrc(files, Int(index), nil, nil)
    else { return (nil, line) }
    return (String(cString: path), line)
  }

  func unsigned(_ attribute: Int, of entry: inout Dwarf_Die) -> UInt64? {
    var value = Dwarf_Attribute()
    var result: Dwarf_Word = 0
    guard dwarf_attr(&entry, UInt32(attribute), &value) != nil, dwarf_formudata(&value, &result) == 0
    else { return nil }
    return result
  }
}
