// Suppressions in LeakSanitizer's file syntax (clang's AddressSanitizer manual, "Suppressing memory leaks").
// SPDX-License-Identifier: Apache-2.0

/// Leaks that a user knows about and does not want to see.
///
/// Lines read `leak:PATTERN`; a leak is suppressed if the pattern matches the function, the file or the module of any frame of
/// the stack that allocated it. A pattern matches anywhere in a name; `*` stands for any text, `^` for the beginning and `$`
/// for the end. Empty lines and those that begin with `#` are comments.
public struct Suppressions: Sendable {
  private var patterns: [Pattern] = []

  public init() {}

  public var isEmpty: Bool { patterns.isEmpty }

  /// Why a file of suppressions can't be used.
  public struct ParseError: Error, Hashable, CustomStringConvertible {
    /// One plain sentence with the line's number and text.
    public let description: String
  }

  /// - Parameter name: the file's name, for errors.
  public init(parsing text: String, name: String) throws(ParseError) {
    for (index, raw) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let line = raw.trimmingBlanks()
      if line.isEmpty || line.hasPrefix("#") { continue }
      guard let colon = line.firstIndex(of: ":"), line[..<colon] == "leak", line.index(after: colon) < line.endIndex else {
        throw ParseError(
          description: "\(name), line \(index + 1): expected `leak:PATTERN` (function, file or library), found `\(line)`.")
      }
      patterns.append(Pattern(line[line.index(after: colon)...]))
    }
  }

  /// Whether any frame of a stack is matched.
  public func matches(_ stack: [StackFrame]) -> Bool {
    stack.contains { frame in
      patterns.contains { $0.matches(frame.function) || $0.matches(frame.file ?? "") || $0.matches(frame.module) }
    }
  }
}

/// A pattern: pieces of literal text that follow each other with anything in between.
private struct Pattern: Sendable {
  private let pieces: [[UInt8]]
  private let isAnchoredAtStart: Bool
  private let isAnchoredAtEnd: Bool

  init(_ text: Substring) {
    var text = text
    isAnchoredAtStart = text.hasPrefix("^")
    if isAnchoredAtStart { text = text.dropFirst() }
    isAnchoredAtEnd = text.hasSuffix("$")
    if isAnchoredAtEnd { text = text.dropLast() }
    pieces = text.split(separator: "*", omittingEmptySubsequences: false).map { Array($0.utf8) }
  }

  func matches(_ name: String) -> Bool {
    if name.isEmpty { return false }
    let name = Array(name.utf8)
    var position = 0
    for (index, piece) in pieces.enumerated() {
      let isFirst = index == 0
      let isLast = index == pieces.count - 1
      if isLast && isAnchoredAtEnd {
        let start = name.count - piece.count
        guard start >= position, name[start...].elementsEqual(piece) else { return false }
        return !(isFirst && isAnchoredAtStart) || start == 0
      }
      if isFirst && isAnchoredAtStart {
        guard name.starts(with: piece) else { return false }
        position = piece.count
      } else {
        guard let found = name.firstRange(of: piece, from: position) else { return false }
        position = found + piece.count
      }
    }
    return true
  }
}

extension [UInt8] {
  /// Where `piece` begins first, not before `start`.
  fileprivate func firstRange(of piece: [UInt8], from start: Int) -> Int? {
    var position = start
    while position + piece.count <= count {
      if self[position..<position + piece.count].elementsEqual(piece) { return position }
      position += 1
    }
    return nil
  }
}

extension Substring {
  fileprivate func trimmingBlanks() -> Substring {
    var result = self
    while let first = result.unicodeScalars.first, first == " " || first == "\t" || first == "\r" { result = result.dropFirst() }
    while let last = result.unicodeScalars.last, last == " " || last == "\t" || last == "\r" { result = result.dropLast() }
    return result
  }
}
