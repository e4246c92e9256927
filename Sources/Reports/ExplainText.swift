// The report of `mallow explain` in text.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Symbols

struct ExplainText {
  let explanation: Explanation
  let style: Style

  private static let indent = 9
  private var place: Place { explanation.place }
  private var room: Int { style.width - Self.indent }

  var lines: [String] {
    let target = explanation.target
    let name = explanation.name.map { "\($0) at " } ?? ""
    var lines = style.title(
      name + place.address.description, "in \(target.name)\(target.processID > 0 ? ", process \(target.processID)" : "")")
    lines += section("Is", explanation.headline)
    lines += variableLines + frameLines + startLines
    if let block = explanation.block { lines += blockLines(block) }
    if let module = place.module { lines += section("Module", module + (place.section.map { ", section \($0)" } ?? "")) }
    lines += regionLines
    lines += contentLines
    if let holders = explanation.block?.keptBy { lines += holderLines(holders) }
    lines += style.remarks(explanation.diagnoses, further: explanation.furtherDiagnoses, explanation.notes)
    return lines
  }

  private func section(_ heading: String, _ text: String) -> [String] { style.section(heading, text.printable.wrapped(room)) }

  private var variableLines: [String] {
    guard let variable = place.symbol ?? place.frame?.local else { return [] }
    var lines: [String] = []
    if let type = variable.type {
      let part = variable.field.map { "; \(variable.name)\($0)" + (variable.fieldType.map { " is \($0)" } ?? "") } ?? ""
      lines += section("Type", type + part)
    }
    if let size = variable.size {
      lines += section(
        "Size", countText(size, variable.isFunction ? "byte of code" : "byte", variable.isFunction ? "bytes of code" : "bytes"))
    }
    if let declaration = variable.declaration { lines += section(variable.isFunction ? "Source" : "Declared", declaration) }
    if !variable.rawName.isEmpty, variable.rawName != variable.name { lines += section("Symbol", variable.rawName) }
    return lines
  }

  private var frameLines: [String] {
    guard let frame = place.frame else { return [] }
    let layout = StackText([frame.functions], width: room, style: style)
    return style.section("Frame", frame.functions.map(layout.line))
  }

  private var startLines: [String] { place.start.map { section("Value", $0.value) } ?? [] }

  private func blockLines(_ holder: Explanation.HeapBlock) -> [String] {
    let block = holder.block
    let requested = block.requested.map { ", \(numberText($0)) asked for" } ?? ""
    var lines = section("Block", "\(block.start) to \(block.end): \(countText(block.size, "byte"))\(requested)")
    if let frames = holder.stack?.shown(12), !frames.isEmpty {
      let layout = StackText([frames], width: room, style: style)
      lines += style.section("Made by", frames.map(layout.line))
    }
    return lines
  }

  private var regionLines: [String] {
    if let region = place.region {
      let name = region.name.isEmpty || region.name == place.module ? "" : " \(region.name)"
      return style.section(
        "Region",
        [
          "\(region.start) to \(region.end)",
          "\(region.permissions)  \(region.kind.rawValue)\(name.printable), \(byteText(region.size))".shortened(room),
        ])
    }
    var lines: [String] = []
    if let below = explanation.below { lines += section("Below", "\(byteText(below.distance)) lower: \(words(below.region))") }
    if let above = explanation.above { lines += section("Above", "\(byteText(above.distance)) higher: \(words(above.region))") }
    return lines
  }

  private func words(_ region: AddressSpace.Region) -> String {
    "\(region.kind.rawValue) \(region.start) to \(region.end)" + (region.name.isEmpty ? "" : "  \(region.name)")
  }

  private var contentLines: [String] {
    let contents = explanation.contents
    guard !contents.isEmpty, place.start == nil, place.symbol?.isFunction != true else { return [] }
    if let text = contents.leadingText { return section("Holds", "\"\(text)\"") }
    guard contents.count >= 8 else { return [] }
    // Where it ends, so does what is shown.
    let end =
      explanation.block.map { $0.isBehind ? 0 : $0.block.end - place.address }
      ?? (place.symbol ?? place.frame?.local).flatMap { variable in
        variable.size.flatMap { $0 > variable.offset ? $0 - variable.offset : nil }
      }
    let count = min(UInt64(contents.count), end ?? 16)
    guard count > 0 else { return [] }
    return section(
      "Holds",
      stride(from: 0, to: Int(count), by: 8).prefix(6).map { contents.integer(at: $0, size: min(8, Int(count) - $0)) }.joined(
        separator: " "))
  }

  private func holderLines(_ holders: Explanation.Holders) -> [String] {
    switch holders {
    case .nothing: return section("Kept by", "nothing: no pointer leads to it, it is leaked")
    case .unaligned: return section("Kept by", "pointers at odd addresses, as in packed structures, which are not followed here")
    case .chain(let chain):
      let indices = chain.chain.links.indices
      let hidden = indices.count + chain.chain.omitted - Self.linkLimit
      var shown = indices.map { line($0, chain) }[...]
      if hidden > 0 { shown = shown.prefix(Self.linkLimit / 2) + ["… \(numberText(hidden)) more …"] + shown.suffix(Self.linkLimit / 2) }
      return section("Kept by", chain.rootWords)
        + shown.map { String(repeating: " ", count: Self.indent) + $0.printable.shortened(room) }
    }
  }

  private static let linkLimit = 12

  private func line(_ index: Int, _ chain: Explanation.Chain) -> String {
    let link = chain.chain.links[index]
    let part = chain.fields[index].map { $0.hasPrefix("[") ? $0 : ".\($0)" } ?? link.offset.map { "word at +\($0)" }
    return "→ \(link.start)  \(countText(link.size, "byte"))" + (chain.types[index].map { "  \($0)" } ?? "")
      + (part.map { ", whose \($0)" } ?? "")
  }
}

extension [UInt8] {
  /// A text of four characters or more that ends in a zero byte or fills all there is; nil where the bytes are no text.
  var leadingText: String? {
    let text = prefix { $0 != 0 }
    guard text.count >= 4, let string = String(validating: text, as: UTF8.self),
      string.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 || $0 == "\n" || $0 == "\t" })
    else { return nil }
    return string.replacingNewlines()
  }

  /// A little-endian number in hexadecimal digits.
  fileprivate func integer(at offset: Int, size: Int) -> String {
    var value: UInt64 = 0
    for index in (0..<size).reversed() { value = value << 8 | UInt64(self[offset + index]) }
    return Address(value).description
  }
}

extension String {
  fileprivate func replacingNewlines() -> String {
    split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\\n")
  }
}
