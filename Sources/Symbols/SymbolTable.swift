// The symbols of one file, sorted by address.
// SPDX-License-Identifier: Apache-2.0

import CElfutils

/// Symbols of functions and data by link-time address. Built at the first look-up: 16 bytes a symbol, the names stay
/// in the file.
final class SymbolTable {
  struct Entry {
    var address: UInt64
    var size: UInt32
    /// Index of the symbol in its section.
    var index: UInt32
  }

  struct Match {
    var name: String
    var start: UInt64
    /// 0 for labels of assembly code.
    var size: UInt64
    var isFunction: Bool
  }

  private let file: ObjectFile
  let section: SymbolSection?
  private lazy var entries = sortedEntries()

  /// `file`'s full symbol table, else that of its debug file, else what it exports.
  init(_ file: ObjectFile) {
    if let table = SymbolSection(file, ".symtab") {
      (self.file, section) = (file, table)
    } else if let debug = file.separateDebugFile, let table = SymbolSection(debug, ".symtab") {
      (self.file, section) = (debug, table)
    } else {
      (self.file, section) = (file, SymbolSection(file, ".dynsym"))
    }
  }

  /// The symbol that contains a link-time address. Of several that start together the plainest name wins.
  /// - Parameter functionsOnly: passes over variables, and takes labels of assembly code, which have no size.
  func symbol(containing address: UInt64, functionsOnly: Bool) -> Match? {
    guard let section else { return nil }
    let end = firstIndex(above: address)
    guard end > 0 else { return nil }
    let nearest = entries[end - 1].address
    var best: Entry?
    var label: Entry?
    // A symbol may contain others (labels inside functions): look a little further down for one that is long enough.
    for entry in entries[max(0, end - 64)..<end].reversed() {
      if let best, best.address != entry.address { break }
      if functionsOnly, section[entry.index].isData { continue }
      if address - entry.address < UInt64(entry.size) {
        if best == nil || section.isPlainer(entry.index, than: best!.index) { best = entry }
      } else if entry.size == 0, entry.address == nearest, functionsOnly, isSameCode(entry.address, address) {
        if label == nil || section.isPlainer(entry.index, than: label!.index) { label = entry }
      }
    }
    guard let found = best ?? label, let name = section.name(found.index) else { return nil }
    return Match(name: name, start: found.address, size: UInt64(found.size), isFunction: section[found.index].isFunction)
  }

  private func firstIndex(above address: UInt64) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].address <= address { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Whether two link-time addresses are in the same section of code.
  private func isSameCode(_ a: UInt64, _ b: UInt64) -> Bool {
    file.sections.contains {
      $0.header.sh_flags & UInt64(SHF_EXECINSTR) != 0 && a &- $0.header.sh_addr < $0.header.sh_size
        && b &- $0.header.sh_addr < $0.header.sh_size
    }
  }

  private func sortedEntries() -> [Entry] {
    guard let section else { return [] }
    var result: [Entry] = []
    result.reserveCapacity(section.count)
    for index in 0..<UInt32(section.count) {
      let symbol = section[index]
      guard symbol.isDefined, symbol.isFunction || symbol.isData || symbol.isLabel else { continue }
      result.append(Entry(address: symbol.st_value, size: UInt32(clamping: symbol.st_size), index: index))
    }
    result.sort { $0.address < $1.address }
    return result
  }
}
