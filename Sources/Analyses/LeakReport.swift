// The result of a search for leaks.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// How a block was lost.
public enum LeakKind: String, Sendable, CaseIterable {
  /// Nothing points to it.
  case definite
  /// Only lost blocks point to it: it went with another one.
  case indirect
  /// It is one of several blocks that keep each other, or it keeps itself, and nothing outside points to them.
  case cycle
}

/// Lost blocks that belong together: of the same kind and type, allocated by the same stack.
public struct LeakGroup: Hashable, Sendable {
  public var kind: LeakKind
  /// How many there are, and the bytes that were asked for; usable bytes where the request is not recorded.
  public var count: BlockCount
  /// The type of the objects in them, where it is known.
  public var type: String?
  /// The bytes of each block, where all are equal.
  public var blockSize: UInt64?
  /// For cycles: the types along the ring, as `Session ⇄ Handler`.
  public var cycle: String?
  /// For cycles: how many such rings the group's blocks belong to.
  public var cycles: Int?
  /// Which ones, by numbers of this report: the groups of one cycle's types share them.
  public var cycleNumbers: Set<UInt32> = []
  /// Where the blocks start, lowest first; at most as many as the search was asked for.
  public var addresses: [Address]
  /// The stack that allocated them, where it was recorded.
  public var stackID: StackID?
  /// That stack's frames, innermost first.
  public var stack: [StackFrame]?
  /// For definite leaks and cycles: the indirect leaks that went with them.
  public var held: BlockCount

  public init(
    kind: LeakKind, count: BlockCount, type: String? = nil, blockSize: UInt64? = nil, cycle: String? = nil,
    cycles: Int? = nil, addresses: [Address] = [], stackID: StackID? = nil, stack: [StackFrame]? = nil,
    held: BlockCount = BlockCount()
  ) {
    self.kind = kind
    self.count = count
    self.type = type
    self.blockSize = blockSize
    self.cycle = cycle
    self.cycles = cycles
    self.addresses = addresses
    self.stackID = stackID
    self.stack = stack
    self.held = held
  }
}

/// What a search for leaks found.
public struct LeakReport: Hashable, Sendable {
  /// All unreachable blocks that are not suppressed.
  public var leaks: BlockCount
  /// Most bytes first.
  public var groups: [LeakGroup]
  /// Unreachable blocks that a suppression matches, and what hangs on them.
  public var suppressed: BlockCount
  /// Bytes that were looked at, and how long that took.
  public var scannedBytes: UInt64
  public var scannedMilliseconds: Double
  /// Blocks that were reached first through something else than a plain pointer.
  public var disguises: DisguiseCounts

  public init(
    leaks: BlockCount = BlockCount(), groups: [LeakGroup] = [], suppressed: BlockCount = BlockCount(),
    scannedBytes: UInt64 = 0, scannedMilliseconds: Double = 0, disguises: DisguiseCounts = DisguiseCounts()
  ) {
    self.leaks = leaks
    self.groups = groups
    self.suppressed = suppressed
    self.scannedBytes = scannedBytes
    self.scannedMilliseconds = scannedMilliseconds
    self.disguises = disguises
  }

  public func count(of kind: LeakKind) -> BlockCount {
    groups.reduce(into: BlockCount()) { if $1.kind == kind { $0 += $1.count } }
  }
}

extension Sequence<LeakGroup> {
  /// How many cycles the groups make up together: those of one cycle's types share them.
  public var cycleCount: Int {
    let numbers = reduce(into: Set<UInt32>()) { $0.formUnion($1.cycleNumbers) }
    return numbers.isEmpty ? compactMap(\.cycles).max() ?? 1 : numbers.count
  }
}
