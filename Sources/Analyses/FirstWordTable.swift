// The types that blocks' first words tell, each word looked up once.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Counts blocks by the type that their first word points to. One look-up serves all blocks of a type.
struct FirstWordTable {
  /// A type's place in the table.
  typealias Slot = Int32

  private static let none: Slot = -1
  private static let perBlock: Slot = -2
  /// Words beyond this many are looked up each time: a program has some ten thousand types.
  private static let limit = 1 << 20

  private let types: any TypeNaming
  private let scanner: BlockScanner
  private var slots: [UInt64: Slot] = [:]
  private var minimumSizes: [UInt64] = []
  private var names: [String] = []
  private var totals: [BlockCount] = []
  private var slotsByName: [String: Slot] = [:]
  private var lastWord: UInt64 = 0
  private var lastSlot = none

  init(_ types: any TypeNaming, scanner: BlockScanner) {
    self.types = types
    self.scanner = scanner
  }

  func name(_ slot: Slot) -> String { names[Int(slot)] }

  /// Counts a block; false where its first word tells no type.
  mutating func count(_ address: Address, _ size: UInt64) -> Bool {
    guard let slot = slot(ofBlockAt: address, size) else { return false }
    totals[Int(slot)].blocks += 1
    totals[Int(slot)].bytes &+= size
    return true
  }

  /// The type of a block of `size` usable bytes.
  @inline(__always)
  mutating func slot(ofBlockAt address: Address, _ size: UInt64) -> Slot? {
    guard size >= 8, let word = scanner.mirror.word(address), word & 7 == 0, word >= 4096 else { return nil }
    if word != lastWord {
      lastSlot = slot(ofWord: word)
      lastWord = word
    }
    if lastSlot >= 0 { return size >= minimumSizes[Int(lastSlot)] ? lastSlot : nil }
    if lastSlot == Self.none { return nil }
    return types.typeName(at: address, size: size).map { slot(named: $0, minimumSize: 0) }
  }

  private mutating func slot(ofWord word: UInt64) -> Slot {
    if let known = slots[word] { return known }
    // Of what the heap holds only metadata that Swift's runtime made is a description, and that begins with its kind.
    if scanner.isInHeap(word) {
      guard scanner.isSwift, let kind = scanner.mirror.word(Address(word)), kind < 4096 else { return Self.none }
    }
    let slot: Slot
    switch types.firstWordType(word) {
    case .none: slot = Self.none
    case .perBlock: slot = Self.perBlock
    case .named(let name, let minimumSize): slot = self.slot(named: name, minimumSize: minimumSize)
    }
    if slots.count < Self.limit { slots[word] = slot }
    return slot
  }

  private mutating func slot(named name: String, minimumSize: UInt64) -> Slot {
    if let known = slotsByName[name] {
      minimumSizes[Int(known)] = min(minimumSizes[Int(known)], minimumSize)
      return known
    }
    let slot = Slot(names.count)
    slotsByName[name] = slot
    names.append(name)
    minimumSizes.append(minimumSize)
    totals.append(BlockCount())
    return slot
  }

  var counts: [HeapCensus.TypeCount] {
    names.indices.filter { totals[$0].blocks > 0 }.map { HeapCensus.TypeCount(name: names[$0], evidence: .metadata, count: totals[$0]) }
  }
}
