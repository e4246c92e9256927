// How text is shown: its width and whether it has colours.
// SPDX-License-Identifier: Apache-2.0

/// The look of a text report.
public struct Style: Hashable, Sendable {
  /// Columns to use; at least 40.
  public var width: Int
  /// Whether to use the terminal's colours (ECMA-48).
  public var isColored: Bool

  public init(width: Int = 80, isColored: Bool = false) {
    self.width = max(width, 40)
    self.isColored = isColored
  }

  enum Tone: String {
    case heading = "1"
    case faint = "2"
    case bad = "1;31"
    case good = "32"
  }

  /// `text` in a tone. Lay text out first: the codes would count as columns.
  func paint(_ text: String, _ tone: Tone) -> String {
    isColored && !text.isEmpty ? "\u{1b}[\(tone.rawValue)m\(text)\u{1b}[0m" : text
  }
}
