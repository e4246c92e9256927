// What points to blocks without a type: one pass over all memory that may hold a pointer.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Labels blocks by the best that points to them: an owner that proves what they are, a variable or typed object, another block.
struct HolderSearch {
  private let heapRanges: [Range<Address>]
  private let pointers: StartPointers
  private let types: any TypeNaming
  private let roots: any RootNaming
  private var table: FirstWordTable
  /// Labels of what typed objects hold, by type and offset.
  private var fieldLabels: [FieldKey: UInt32] = [:]

  private struct FieldKey: Hashable {
    var slot: FirstWordTable.Slot
    var offset: UInt64
  }

  /// Offsets in larger blocks are those of elements of an array.
  private static let largestStructure: UInt64 = 1024

  init(
    _ heap: TargetHeap, table: FirstWordTable, types: any TypeNaming, roots: any RootNaming, traits: ProgramTraits
  ) {
    heapRanges = heap.heapRanges
    pointers = StartPointers(
      scanner: BlockScanner(heap.heap, isSwift: traits.isSwift), owners: traits.isCPlusPlus ? ContainerOwners(heap.heap) : nil)
    self.types = types
    self.roots = roots
    self.table = table
  }

  mutating func label(_ labels: inout BlockLabels) {
    let (pointers, roots) = (pointers, roots)
    let heap = pointers.scanner.heap
    if pointers.scanner.isSwift { labelSideTables(&labels) }
    var place: RootName?
    for range in Roots(heap.mirror, heapRanges: heapRanges).ranges {
      heap.mirror.stream(range) { start, bytes in
        pointers.scan(start, bytes, &labels) { address, block, rank, labels in
          guard rank < 3 else { return }
          if place?.range.contains(address) != true { place = roots.rootName(at: address) }
          if let place { labels.set(.held(by: place.name, type: place.pointee), for: block) }
        }
      }
    }
    heap.forEachLiveBlock { holder in
      let start = heap.address(of: holder)
      let size = heap.usableSize(of: holder)
      let slot = table.slot(ofBlockAt: start, size)
      heap.mirror.forEachSpan(from: start, count: size) { from, bytes in
        pointers.scan(from, bytes, &labels) { address, block, rank, labels in
          if let slot {
            if rank < 3 { labels.set(fieldLabel(slot, start, size, address - start, &labels), for: block) }
          } else if rank < 2 {
            let offset = size <= Self.largestStructure ? address - start : nil
            let isAlike = heap.usableSize(of: block) == size
            if !isAlike || rank < 1 { labels.set(isAlike ? .linked(offset: offset) : .heldByBlock(size: size, offset: offset), for: block) }
          }
        }
      }
    }
  }

  private mutating func fieldLabel(
    _ slot: FirstWordTable.Slot, _ address: Address, _ size: UInt64, _ offset: UInt64, _ labels: inout BlockLabels
  ) -> UInt32 {
    // Whatever lies behind the fields of an array's storage or of a large object is an element.
    let isElement = size > Self.largestStructure && offset >= Self.largestStructure
    let key = FieldKey(slot: slot, offset: isElement ? .max : offset)
    if let known = fieldLabels[key] { return known }
    let name = table.name(slot)
    let field = types.fieldName(at: address, size: size, offset: offset)
    let place = field.map { $0.hasPrefix("[") ? $0 : "." + $0 } ?? (isElement ? "" : "+0x" + String(offset, radix: 16))
    let number = labels.number(of: .held(by: name + place, type: nil))
    fieldLabels[key] = number
    return number
  }

  /// Blocks that Swift's runtime keeps for objects with weak references.
  private func labelSideTables(_ labels: inout BlockLabels) {
    let number = labels.number(of: .runtime("Swift side table (weak references)"))
    let scanner = pointers.scanner
    let heap = scanner.heap
    heap.forEachLiveBlock { block in
      if scanner.isSideTable(heap.address(of: block), heap.usableSize(of: block)) { labels.set(number, for: block) }
    }
  }
}

/// The words of memory that point to the start of a block.
private struct StartPointers {
  let scanner: BlockScanner
  let owners: ContainerOwners?

  /// Calls `body` for each word that points to the start of a block that needs a better label, after owners have been tried.
  @inline(__always)
  func scan(
    _ start: Address, _ bytes: UnsafeRawBufferPointer, _ labels: inout BlockLabels,
    _ body: (Address, BlockIndex, _ rank: UInt32, inout BlockLabels) -> Void
  ) {
    var offset = Int((8 - start.rawValue % 8) % 8)
    while offset + 8 <= bytes.count {
      defer { offset += 8 }
      let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      guard scanner.isInHeap(word) || scanner.isSwift && word >> 48 != 0, let block = scanner.target(of: word), let rank = labels.rank(of: block),
        rank < 4, isStart(word, of: block)
      else { continue }
      let address = start + UInt64(offset)
      if let owners, owners.label(word, at: address, block, &labels) { continue }
      body(address, block, rank, &labels)
    }
  }

  @inline(__always)
  private func isStart(_ word: UInt64, of block: BlockIndex) -> Bool {
    let start = scanner.heap.address(of: block).rawValue
    return word == start || scanner.isSwift && word & 0x0000_7fff_ffff_fff8 == start
  }
}
