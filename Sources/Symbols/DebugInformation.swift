// The DWARF of one file: from a link-time address to its compilation unit and function.
// SPDX-License-Identifier: Apache-2.0

import CElfutils

/// Debug information, read by libdw.
///
/// libdw finds units through `.debug_aranges`, which neither Swift nor Clang writes; so the ranges of all units are
/// gathered from the units themselves at the first look-up, and those of a unit's functions when the unit is first met.
final class DebugInformation {
  /// Addresses from `begin` up to `end`, and what they belong to.
  struct Range {
    var begin, end: UInt64
    var index: Int32
  }

  /// A compilation unit.
  final class Unit {
    /// The unit's own entry; with split DWARF that of the skeleton, which has the line table.
    var entry: Dwarf_Die
    /// The entry with the functions beneath it: the same, or that in the `.dwo` file.
    var contents: Dwarf_Die
    /// Its functions by address, ranges pointing into `functions`.
    lazy var functionRanges: [Range] = findFunctions()
    private(set) var functions: [Dwarf_Die] = []

    init(entry: Dwarf_Die, contents: Dwarf_Die) {
      self.entry = entry
      self.contents = contents
    }

    private func findFunctions() -> [Range] {
      var ranges: [Range] = []
      forEachDescendant(of: contents, entering: Unit.mayHoldFunctions) { entry in
        guard tag(&entry) == DW_TAG_subprogram else { return }
        let found = addressRanges(of: &entry)
        guard !found.isEmpty, functions.count < Int32.max else { return }
        for range in found { ranges.append(Range(begin: range.0, end: range.1, index: Int32(functions.count))) }
        functions.append(entry)
      }
      ranges.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
      return ranges
    }

    private static func mayHoldFunctions(_ tag: Int) -> Bool {
      switch tag {
      case DW_TAG_namespace, DW_TAG_module, DW_TAG_subprogram, DW_TAG_lexical_block, DW_TAG_class_type,
        DW_TAG_structure_type, DW_TAG_union_type, DW_TAG_enumeration_type, DW_TAG_variant_part, DW_TAG_variant:
        true
      default: false
      }
    }
  }

  /// The file that the debug information is in; kept, since libdw reads from it.
  private let file: ObjectFile
  let dwarf: OpaquePointer
  /// The file with the code, whose segments tell live addresses from those of functions that the linker dropped.
  private let code: ObjectFile
  private(set) var units: [Unit] = []
  private lazy var unitRanges = findUnits()
  /// Definitions of C++ classes by their name, found at the first look-up.
  private(set) lazy var classes = findClasses()
  /// Variables that live as long as the program or a thread.
  lazy var variables = findVariables()
  /// Names by the address of their entry in memory.
  var names: [UnsafeMutableRawPointer: FunctionName] = [:]

  /// Nil where `file` has no DWARF that libdw can read.
  init?(_ file: ObjectFile, code: ObjectFile) {
    guard let dwarf = dwarf_begin_elf(file.elf, DWARF_C_READ, nil) else { return nil }
    self.file = file
    self.code = code
    self.dwarf = dwarf
  }

  deinit { dwarf_end(dwarf) }

  private func findUnits() -> [Range] {
    var ranges: [Range] = []
    var unit: OpaquePointer?
    var version: Dwarf_Half = 0
    var type: UInt8 = 0
    var entry = Dwarf_Die()
    var split = Dwarf_Die()
    while units.count < Int32.max, dwarf_get_units(dwarf, unit, &unit, &version, &type, &entry, &split) == 0 {
      guard Int32(type) == DW_UT_compile || Int32(type) == DW_UT_skeleton else { continue }
      let found = addressRanges(of: &entry).filter { code.isCode($0.0) }
      guard !found.isEmpty else { continue }
      for range in found { ranges.append(Range(begin: range.0, end: range.1, index: Int32(units.count))) }
      units.append(Unit(entry: entry, contents: split.addr == nil ? entry : split))
    }
    ranges.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
    return ranges
  }

  func unit(containing address: UInt64) -> Unit? {
    search(unitRanges, address).map { units[Int($0.index)] }
  }
}

extension DebugInformation.Unit {
  /// The function at a link-time address, leaving inlined ones aside.
  func function(containing address: UInt64) -> Dwarf_Die? {
    search(functionRanges, address).map { functions[Int($0.index)] }
  }
}

/// The range with the highest start that contains `address`.
private func search(_ ranges: [DebugInformation.Range], _ address: UInt64) -> DebugInformation.Range? {
  var low = 0
  var high = ranges.count
  while low < high {
    let middle = (low + high) / 2
    if ranges[middle].begin <= address { low = middle + 1 } else { high = middle }
  }
  // Ranges hardly ever overlap; dropped functions that a linker left at low addresses do.
  return ranges[max(0, low - 16)..<low].last { address < $0.end }
}

/// An entry's tag, in the type that `DW_TAG_…` are imported with.
func tag(_ entry: UnsafeMutablePointer<Dwarf_Die>) -> Int { Int(dwarf_tag(entry)) }

/// The addresses that an entry covers, by its low and high bounds or its list of ranges.
func addressRanges(of entry: inout Dwarf_Die) -> [(UInt64, UInt64)] {
  var result: [(UInt64, UInt64)] = []
  var base: Dwarf_Addr = 0
  var begin: Dwarf_Addr = 0
  var end: Dwarf_Addr = 0
  var offset = 0
  while result.count < 1_000_000 {
    offset = dwarf_ranges(&entry, offset, &base, &begin, &end)
    guard offset > 0 else { break }
    if begin < end { result.append((begin, end)) }
  }
  return result
}

/// Visits the entries beneath `parent`, parents first, going below those whose tag `entering` accepts.
/// Depth is bounded, since debug information may be damaged.
func forEachDescendant(
  of parent: Dwarf_Die, entering: (Int) -> Bool, depth: Int = 0, _ visit: (inout Dwarf_Die) -> Void
) {
  var parent = parent
  var child = Dwarf_Die()
  guard depth < 64, dwarf_child(&parent, &child) == 0 else { return }
  while true {
    visit(&child)
    if entering(tag(&child)) { forEachDescendant(of: child, entering: entering, depth: depth + 1, visit) }
    guard moveToSibling(&child) else { return }
  }
}

/// Moves on to the next entry with the same parent, false at the last. Damaged debug information may link entries in
/// a circle: they must come in order.
func moveToSibling(_ entry: inout Dwarf_Die) -> Bool {
  var next = Dwarf_Die()
  guard dwarf_siblingof(&entry, &next) == 0, let address = next.addr, let previous = entry.addr, address > previous
  else { return false }
  entry = next
  return true
}
