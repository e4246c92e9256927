// Every resident byte in just one row: the parts of the address space, the heap's own parts within it, and what is left over.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// A row of an account. Where it has rows of its own, they sum to its bytes.
public struct AccountRow: Hashable, Sendable {
  public var name: String
  /// Resident bytes.
  public var bytes: UInt64
  /// For blocks of a heap: how many there are, resident or not.
  public var blocks: Int?
  /// Most bytes first.
  public var rows: [AccountRow]

  public init(_ name: String, _ bytes: UInt64, blocks: Int? = nil, rows: [AccountRow] = []) {
    self.name = name
    self.bytes = bytes
    self.blocks = blocks
    self.rows = rows
  }
}

/// A stretch of the address space and what it is.
public struct AccountArea: Hashable, Sendable {
  public enum Kind: String, CaseIterable, Sendable {
    case code = "code"
    case readOnlyData = "read-only data"
    case data = "data"
    case bss = "bss"
    case heap = "other heap memory"
    case mainStack = "main stack"
    case threadStack = "thread stacks"
    case file = "file mappings"
    case shared = "shared memory"
    case anonymous = "anonymous mappings"
    case vdso = "vdso"
  }

  public var range: Range<Address>
  public var kind: Kind
  /// Its row within the kind's: a module, a file, a thread, an owner. Empty where the kind says all.
  public var name: String

  public init(_ range: Range<Address>, _ kind: Kind, name: String = "") {
    self.range = range
    self.kind = kind
    self.name = name
  }
}

/// Where a target's resident memory is.
public struct Account: Hashable, Sendable {
  /// What the kernel calls resident, in bytes.
  public let resident: UInt64
  /// Most bytes first.
  public let rows: [AccountRow]

  /// The sum of the rows.
  public var explained: UInt64 { rows.reduce(0) { $0 &+ $1.bytes } }
  /// What the kernel counts and the rows do not: 0 for a target that was stopped. Negative where the rows hold more.
  public var unexplained: Int64 { Int64(bitPattern: resident &- explained) }

  /// - Parameters:
  ///   - resident: the kernel's figure in bytes (`VmRSS`).
  ///   - pages: the resident pages, in address order, without overlaps.
  ///   - areas: what the address space is made of, in address order, without overlaps.
  ///   - heaps: the heaps in it, which go before areas, each with what it occupies.
  public init(
    resident: UInt64, pages: [Range<Address>], areas: [AccountArea],
    heaps: [(name: String, ranges: [Range<Address>], occupancy: HeapOccupancy)] = []
  ) {
    self.resident = resident
    var rows = heaps.map { Self.row(named: $0.name, $0.occupancy) }
    let others = pages.subtracting(heaps.flatMap(\.ranges).merged())
    var cursor = ResidentBytes(others)
    var bytes: [AccountArea.Kind: [String: UInt64]] = [:]
    for area in areas {
      let count = cursor.count(from: area.range.lowerBound, to: area.range.upperBound)
      if count > 0 { bytes[area.kind, default: [:]][area.name, default: 0] &+= count }
    }
    for kind in AccountArea.Kind.allCases where kind != .mainStack && kind != .threadStack {
      guard let names = bytes[kind] else { continue }
      rows.append(Self.row(named: kind.rawValue, names))
    }
    let stacks = [AccountArea.Kind.mainStack, .threadStack].compactMap { kind in
      bytes[kind].map { Self.row(named: kind.rawValue, $0) }
    }
    if !stacks.isEmpty { rows.append(Self.sum("stacks", stacks)) }
    self.rows = rows.filter { $0.bytes > 0 || $0.blocks ?? 0 > 0 }.largestFirst()
  }

  private static func sum(_ name: String, _ rows: [AccountRow]) -> AccountRow {
    AccountRow(name, rows.reduce(0) { $0 &+ $1.bytes }, rows: rows.largestFirst())
  }

  private static func row(named name: String, _ names: [String: UInt64]) -> AccountRow {
    // What has no name of its own is the whole row, or a part of it beside named ones.
    if names.count == 1, let whole = names[""] { return AccountRow(name, whole) }
    return sum(name, names.map { AccountRow($0.isEmpty ? "not named" : $0, $1) })
  }

  private static func row(named name: String, _ heap: HeapOccupancy) -> AccountRow {
    let arenas = heap.arenas.filter { arena in HeapPart.allCases.contains { arena[$0].bytes > 0 } }
    var rows = arenas.count > 1 ? arenas.map { arena in sum(arena.name, parts { arena[$0] }) } : parts { heap[$0] }
    if heap.unreached > 0 { rows.append(AccountRow("not told apart", heap.unreached)) }
    var row = sum(name, rows)
    row.blocks = heap[.live].blocks
    return row
  }

  private static func parts(_ occupancy: (HeapPart) -> PartOccupancy) -> [AccountRow] {
    let listed: [HeapPart] = [.tcache, .fastbins, .bins, .top]
    func row(_ part: HeapPart, _ name: String) -> AccountRow? {
      let found = occupancy(part)
      guard found.resident > 0 || found.blocks > 0 else { return nil }
      return AccountRow(name, found.resident, blocks: found.blocks > 0 ? found.blocks : nil)
    }
    var rows = [
      row(.live, "live"), row(.freeInPages, "free in partly used pages"), row(.emptyPages, "empty pages kept"),
      row(.metadata, "metadata"),
    ].compactMap { $0 }
    let free = listed.compactMap { row($0, String(describing: $0)) }
    if !free.isEmpty { rows.append(sum("free", free)) }
    return rows
  }
}

extension [AccountRow] {
  /// The rows by bytes; equal ones by name, so that reports can be compared.
  func largestFirst() -> [AccountRow] { sorted { ($1.bytes, $0.name) < ($0.bytes, $1.name) } }
}
