// Which live blocks point to which, of the whole heap, in arrays small enough to be searched quickly.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Heaps
import ProcessImage

/// A directed graph of all live blocks: 4 bytes a block, and 4 bytes a pointer of blocks that have several.
///
/// Following pointers through the memory of a large heap waits for that memory at every step. So the memory is passed over once, from
/// low to high addresses, and what is followed is this. A node is the rank of a live block in address order.
struct ReferenceGraph {
  let scanner: BlockScanner
  let ranks: Ranks
  /// Bytes of the live blocks.
  private(set) var bytesScanned: UInt64 = 0
  /// References in disguise, by their sources in ascending order.
  private(set) var disguised: [DisguisedReference] = []

  /// By node: the node that it points to, or, with the flag, where its list begins; see `bases`.
  private var slots: HugeArray<UInt32>
  /// The targets of nodes that have several; the flag is set in the last one of each node.
  private var lists: [UInt32] = []
  /// By 1024 nodes: where their part of `lists` begins.
  private var bases: [Int] = []

  private static let flag: UInt32 = 1 << 31
  private static let none: UInt32 = .max
  private static let baseShift = 10

  /// - Parameter scanner: of a heap with fewer than 2^31 live blocks.
  init(_ scanner: BlockScanner) {
    self.scanner = scanner
    ranks = Ranks(scanner.heap.live)
    slots = HugeArray(repeating: Self.none, count: ranks.count)
    var builder = Builder(scanner, ranks)
    var node = 0
    LiveMemory(scanner.heap).forEachBlock { address, size, window in
      if node & (1 << Self.baseShift - 1) == 0 { bases.append(lists.count) }
      builder.begin(node)
      window.forEachSpan(from: address, to: address + size) { start, bytes in
        builder.scan(start, bytes, &lists)
      }
      slots[node] = builder.slot(&lists, base: bases[node >> Self.baseShift])
      bytesScanned += size
      node += 1
    }
    disguised = builder.disguised
    for sideTable in builder.sideTables { removeWeak(sideTable) }
  }

  var count: Int { ranks.count }

  /// The node that a word points to, and the disguise that it is in, if any.
  @inline(__always)
  func reference(_ word: UInt64) -> (node: UInt32, disguise: Disguise?)? { scanner.reference(word, ranks) }

  /// The node of a live block.
  func node(of block: BlockIndex) -> UInt32? { ranks.rank(of: scanner.heap.number(of: block)).map { UInt32($0) } }

  /// Calls `body` for each node that a node points to by a plain address.
  @inline(__always)
  func forEachTarget(of node: UInt32, _ body: (UInt32) -> Void) {
    let slot = slots[Int(node)]
    if slot & Self.flag == 0 { return body(slot) }
    if slot == Self.none { return }
    var place = bases[Int(node) >> Self.baseShift] + Int(slot & ~Self.flag)
    while true {
      let target = lists[place]
      body(target & ~Self.flag)
      if target & Self.flag != 0 { return }
      place += 1
    }
  }

  /// Asks the processor to fetch what ``forEachTarget(of:_:)`` needs.
  @inline(__always)
  func prefetch(_ node: UInt32) { mallow_prefetch(slots.base + Int(node)) }

  /// The first word of a Swift object's side table does not keep the object: it serves weak references.
  private mutating func removeWeak(_ sideTable: SideTable) {
    guard scanner.mirror.image.load(sideTable.address, as: UInt64.self) == sideTable.object else { return }
    let slot = slots[Int(sideTable.node)]
    if slot & Self.flag == 0 {
      slots[Int(sideTable.node)] = Self.none
    } else if slot != Self.none {
      // Nothing follows from a pointer to itself.
      let place = bases[Int(sideTable.node) >> Self.baseShift] + Int(slot & ~Self.flag)
      lists[place] = lists[place] & Self.flag | sideTable.node
    }
  }
}

/// A reference that is not a plain address.
struct DisguisedReference {
  var source: UInt32
  var target: UInt32
  var disguise: Disguise
}

/// A block that may be a Swift object's side table: a word just behind the beginning of `object` says so.
private struct SideTable {
  var address: Address
  var node: UInt32
  var object: UInt64
}

/// What is gathered during the pass.
private struct Builder {
  private let scanner: BlockScanner
  private let ranks: Ranks
  private(set) var disguised: [DisguisedReference] = []
  private(set) var sideTables: [SideTable] = []
  private var node: UInt32 = 0
  private var targets = 0
  private var last: UInt32 = 0

  init(_ scanner: BlockScanner, _ ranks: Ranks) {
    self.scanner = scanner
    self.ranks = ranks
  }

  mutating func begin(_ node: Int) {
    self.node = UInt32(node)
    targets = 0
  }

  @inline(__always)
  mutating func scan(_ start: UInt64, _ bytes: UnsafeRawBufferPointer, _ lists: inout [UInt32]) {
    for index in 0..<bytes.count / 8 {
      let word = bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
      if scanner.mayBeReference(word) { add(word, at: start + UInt64(index) * 8, &lists) }
    }
  }

  private mutating func add(_ word: UInt64, at address: UInt64, _ lists: inout [UInt32]) {
    guard let (target, disguise) = scanner.reference(word, ranks), target != node else { return }
    if let disguise {
      disguised.append(DisguisedReference(source: node, target: target, disguise: disguise))
      if disguise == .sideTable { sideTables.append(SideTable(address: Address(word << 3), node: target, object: address - 8)) }
      return
    }
    // The second of equal neighbours says nothing new; but the first word of a side table is no ordinary one.
    if targets > (scanner.isSwift ? 1 : 0), last == target { return }
    if targets == 1 { lists.append(last) }
    if targets > 0 { lists.append(target) }
    last = target
    targets += 1
  }

  /// The slot of the node whose memory has been scanned.
  mutating func slot(_ lists: inout [UInt32], base: Int) -> UInt32 {
    if targets == 0 { return .max }
    if targets == 1 { return last }
    lists[lists.count - 1] |= 1 << 31
    return UInt32(lists.count - targets - base) | 1 << 31
  }
}
