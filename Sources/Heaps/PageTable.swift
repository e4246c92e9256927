// From an address to its page in two loads: a table of 64 MiB slots, and for each region one of its slices.
// SPDX-License-Identifier: Apache-2.0

/// Maps slices (64 KiB) to indices of pages.
struct PageTable {
  static let regionShift: UInt64 = 26
  static let sliceShift: UInt64 = 16
  static let slicesPerRegion = 1024

  /// The number (address >> 26) of the first slot.
  private var firstSlot: UInt64 = 0
  /// By slot: -1 nothing; 0 and above, a region's number in `slices`; -2 and below, the page of a huge block is -2 - value.
  private var slots: [Int32] = []
  /// By region and slice: an index of a page, or -1.
  private var slices: [Int32] = []

  init() {}

  /// - Parameter slots: the lowest and highest slot that will be used.
  init(slots range: ClosedRange<UInt64>) {
    firstSlot = range.lowerBound
    slots = [Int32](repeating: -1, count: Int(range.upperBound - range.lowerBound) + 1)
  }

  /// A table of pages that lie anywhere, in address order: a slice leads to the first page that has a part of it.
  init(_ pages: [HeapPage]) {
    guard let first = pages.first, let last = pages.last else {
      self.init()
      return
    }
    self.init(slots: first.start.rawValue >> Self.regionShift...(last.end.rawValue - 1) >> Self.regionShift)
    for (index, page) in pages.enumerated() {
      let (start, last) = (page.start.rawValue, page.end.rawValue - 1)
      for slot in start >> Self.regionShift...last >> Self.regionShift {
        let slotStart = slot << Self.regionShift
        let slotEnd = slotStart + 1 << Self.regionShift - 1
        if start <= slotStart && last >= slotEnd {
          addHuge(index, slots: slot...slot)
          continue
        }
        if slots[Int(slot - firstSlot)] == -1 { addRegion(slot: slot) }
        let base = Int(slots[Int(slot - firstSlot)]) * Self.slicesPerRegion
        for slice in (max(start, slotStart) - slotStart) >> Self.sliceShift...(min(last, slotEnd) - slotStart) >> Self.sliceShift {
          if slices[base + Int(slice)] == -1 { slices[base + Int(slice)] = Int32(index) }
        }
      }
    }
  }

  mutating func addRegion(slot: UInt64) {
    slots[Int(slot - firstSlot)] = Int32(slices.count / Self.slicesPerRegion)
    slices.append(contentsOf: repeatElement(-1, count: Self.slicesPerRegion))
  }

  mutating func addPage(_ page: Int, slot: UInt64, slices range: Range<Int>) {
    let base = Int(slots[Int(slot - firstSlot)]) * Self.slicesPerRegion
    for slice in range { slices[base + slice] = Int32(page) }
  }

  mutating func addHuge(_ page: Int, slots range: ClosedRange<UInt64>) {
    for slot in range { slots[Int(slot - firstSlot)] = Int32(-2 - page) }
  }

  /// The page that may contain `address`; whether it does is for its record to say.
  @inline(__always)
  func page(of address: UInt64) -> Int? {
    let slot = address >> Self.regionShift &- firstSlot
    guard slot < UInt64(slots.count) else { return nil }
    let entry = Int(slots[Int(slot)])
    if entry >= 0 {
      let page = slices[entry * Self.slicesPerRegion + Int(address >> Self.sliceShift & 1023)]
      return page >= 0 ? Int(page) : nil
    }
    return entry == -1 ? nil : -2 - entry
  }
}
