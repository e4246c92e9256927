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
    var candidates = CandidateQueue(scanner, ranks)
    var sideTables: [SideTable] = []
    var node: UInt32 = 0
    var open = OpenNode(node: 0)
    LiveMemory(scanner.heap).forEachBlock { address, size, window in
      window.forEachSpan(from: address, to: address + size) { start, bytes in
        candidates.scan(start, bytes, of: node) { add($0, &open, &sideTables) }
      }
      bytesScanned += size
      node += 1
    }
    candidates.flush { add($0, &open, &sideTables) }
    close(open)
    for sideTable in sideTables { removeWeak(sideTable) }
  }

  /// The node whose pointers are being added.
  private struct OpenNode {
    var node: UInt32
    var targets = 0
    var last: UInt32 = 0
  }

  /// Adds a reference. They come in the order of their sources.
  private mutating func add(_ reference: Reference, _ open: inout OpenNode, _ sideTables: inout [SideTable]) {
    if reference.source != open.node {
      close(open)
      open = OpenNode(node: reference.source)
    }
    guard reference.target != reference.source else { return }
    if let disguise = reference.disguise {
      disguised.append(DisguisedReference(source: reference.source, target: reference.target, disguise: disguise))
      if disguise == .sideTable { sideTables.append(SideTable(reference)) }
      return
    }
    // The second of equal neighbours says nothing new; but the first word of a side table is no ordinary one.
    if open.targets > (scanner.isSwift ? 1 : 0), open.last == reference.target { return }
    while bases.count <= Int(reference.source) >> Self.baseShift { bases.append(lists.count) }
    if open.targets == 1 { lists.append(open.last) }
    if open.targets > 0 { lists.append(reference.target) }
    open.last = reference.target
    open.targets += 1
  }

  private mutating func close(_ open: OpenNode) {
    if open.targets == 1 { slots[Int(open.node)] = open.last }
    guard open.targets > 1 else { return }
    lists[lists.count - 1] |= Self.flag
    slots[Int(open.node)] = Self.flag | UInt32(lists.count - open.targets - bases[Int(open.node) >> Self.baseShift])
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
    let heap = scanner.heap
    guard let block = heap.block(containing: sideTable.address), heap.address(of: block) == sideTable.address,
      BlockScanner.sideTableSizes.contains(heap.usableSize(of: block)),
      scanner.mirror.image.load(sideTable.address, as: UInt64.self) == sideTable.object
    else { return }
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

  /// - Parameter reference: a word in the form that says so.
  init(_ reference: Reference) {
    address = Address(reference.word << 3)
    node = reference.target
    object = reference.address - 8
  }
}
