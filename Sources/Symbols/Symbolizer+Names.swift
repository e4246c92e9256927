// From a name that a person types to addresses.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import ProcessImage

/// A function or variable that has a name which was asked for.
public struct NamedAddress: Hashable, Sendable {
  /// The demangled name.
  public var name: String
  public var address: Address
  public var isFunction: Bool
  /// The path of the executable or library.
  public var module: String
  /// For a thread-local variable: whose copy.
  public var thread: Int32?
}

extension Symbolizer {
  /// Where functions and variables of a name are: the name as the symbol table has it, or demangled, with or without the types of
  /// arguments and the scopes that it is in. What matches best is returned: everything that matches as well, aliases left out.
  public func addresses(named name: String, threadLocals: ThreadLocals) -> [NamedAddress] {
    guard !name.isEmpty else { return [] }
    let found = addresses(WantedName(name), threadLocals)
    // Demangling every name takes a second in a large Swift program.
    return found.isEmpty ? addresses(WantedName(name, hint: ""), threadLocals) : found
  }

  private func addresses(_ wanted: WantedName, _ threadLocals: ThreadLocals) -> [NamedAddress] {
    var best: [Candidate] = []
    var bestRank = WantedName.Rank.none
    for module in modules where module.bias != nil {
      guard let file = module.file, let section = file.symbols.section else { continue }
      for index in 0..<UInt32(section.count) {
        let symbol = section[index]
        guard symbol.isDefined, symbol.isFunction || symbol.isData || symbol.isLabel || symbol.isThreadLocal,
          section.mayMatch(index, wanted), let raw = section.name(index)
        else { continue }
        let rank = wanted.rank(of: raw)
        if rank == .none || rank < bestRank { continue }
        if rank > bestRank { best = [] }
        bestRank = rank
        best.append(
          Candidate(
            raw: raw, value: symbol.st_value, module: module, isFunction: symbol.isFunction, isThreadLocal: symbol.isThreadLocal))
      }
    }
    var result: [NamedAddress] = []
    var seen: Set<Address> = []
    for candidate in best {
      for found in found(candidate, threadLocals) where seen.insert(found.address).inserted { result.append(found) }
    }
    return result
  }

  private struct Candidate {
    var raw: String
    var value: UInt64
    var module: Module
    var isFunction: Bool
    var isThreadLocal: Bool
  }

  private func found(_ candidate: Candidate, _ threadLocals: ThreadLocals) -> [NamedAddress] {
    let named = { (address: Address, thread: Int32?) in
      NamedAddress(
        name: demangle(candidate.raw), address: address, isFunction: candidate.isFunction, module: candidate.module.path,
        thread: thread)
    }
    if candidate.isThreadLocal {
      return threadLocals.addresses(of: candidate.value, in: candidate.module).map { named($0.address, $0.thread.threadID) }
    }
    return [named(Address(candidate.value &+ (candidate.module.bias ?? 0)), nil)]
  }
}

/// A name that was asked for, and how well a symbol's name matches it.
struct WantedName {
  enum Rank: Comparable { case none, lastPart, withoutArguments, demangled, raw }

  let text: String
  /// What a name must contain, as C's string. Mangled names spell identifiers out, except for those that a language has a code for,
  /// such as `init`, and words that Swift abbreviates since they were there before.
  let hint: [CChar]

  init(_ text: String, hint: String? = nil) {
    self.text = text
    let identifiers = text.prefix { $0 != "(" && $0 != "<" }.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
    self.hint = Array((hint ?? identifiers.last.map(String.init) ?? "").utf8CString)
  }

  func rank(of raw: String) -> Rank {
    if raw == text || Self.withoutNumber(raw) == text { return .raw }
    guard raw.hasPrefix("_Z") || raw.hasPrefix("_R") || isSwiftMangled(raw) else { return .none }
    var name = demangle(raw)
    if name == raw { return .none }
    // Swift's static variables of types.
    if name.hasPrefix("static ") { name.removeFirst("static ".count) }
    if name == text { return .demangled }
    let bare = Self.withoutArguments(name)
    if bare == text { return .withoutArguments }
    for scope in ["::", "."] where bare.hasSuffix(scope + text) { return .lastPart }
    return .none
  }

  /// A static variable of a function in C has a number behind its name.
  private static func withoutNumber(_ raw: String) -> Substring {
    guard let dot = raw.lastIndex(of: "."), raw.index(after: dot) < raw.endIndex,
      raw[raw.index(after: dot)...].allSatisfy({ $0.isNumber })
    else { return raw[...] }
    return raw[..<dot]
  }

  private static func withoutArguments(_ name: String) -> Substring {
    guard name.hasSuffix(")") || name.hasSuffix(") const"), let end = name.lastIndex(of: ")") else { return name[...] }
    // The bracket that the last one closes.
    var depth = 0
    var position = end
    while true {
      if name[position] == ")" { depth += 1 }
      if name[position] == "(" { depth -= 1 }
      if depth == 0 { return name[..<position] }
      guard position > name.startIndex else { return name[...] }
      position = name.index(before: position)
    }
  }
}

extension SymbolSection {
  /// Whether a symbol is worth demangling in search of a name.
  fileprivate func mayMatch(_ index: UInt32, _ wanted: WantedName) -> Bool {
    guard let bytes = bytes(index), bytes[0] != 0 else { return false }
    return strstr(bytes, wanted.hint) != nil
  }
}
