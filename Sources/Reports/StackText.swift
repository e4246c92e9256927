// Stacks as lines of function and place.
// SPDX-License-Identifier: Apache-2.0
import Analyses

/// Lays out the stacks of one section so that all their places stand below each other.
struct StackText {
  private let functionWidth: Int
  private let placeWidth: Int
  private let style: Style

  /// - Parameters:
  ///   - stacks: all stacks of the section, as they will be shown.
  ///   - width: the columns that a line may take.
  init(_ stacks: [[StackFrame]], width: Int, style: Style) {
    self.style = style
    let longestPlace = stacks.joined().map { Self.place($0).count }.max() ?? 0
    placeWidth = min(longestPlace, width / 2)
    let room = max(8, width - placeWidth - 2)
    functionWidth = stacks.joined().map { min(room, Self.name($0, room).count) }.max() ?? 0
  }

  /// File and line, or the module where the source is not known.
  static func place(_ frame: StackFrame) -> String {
    guard let file = frame.fileName else { return String(frame.moduleName).printable }
    return (file + (frame.line.map { ":\($0)" } ?? "")).printable
  }

  /// The function's name, in its compact form where it has no room.
  private static func name(_ frame: StackFrame, _ width: Int) -> String {
    (frame.function.count <= width ? frame.function : frame.compactFunction).printable
  }

  func line(_ frame: StackFrame) -> String {
    let function = Self.name(frame, functionWidth).shortened(functionWidth)
    let place = Self.place(frame).shortened(placeWidth)
    if place.isEmpty { return function }
    return function.padded(functionWidth) + "  " + style.paint(place, .faint)
  }
}

extension [StackFrame] {
  /// The innermost `limit` frames that matter; a function that calls itself is named once.
  func shown(_ limit: Int) -> [StackFrame] {
    var frames: [StackFrame] = []
    for frame in trimmed() {
      if let last = frames.last, last.function == frame.function, last.module == frame.module { continue }
      if frames.count == limit { break }
      frames.append(frame)
    }
    return frames
  }
}
