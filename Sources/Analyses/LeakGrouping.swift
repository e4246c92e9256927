// Lost blocks put into groups: by kind, type, allocation stack and cycle.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Groups the nodes of a graph of lost blocks.
struct LeakGrouping {
  private struct Key: Hashable {
    var kind: LeakKind
    var type: String?
    var stack: StackID?
    /// Where neither type nor stack is known, blocks of one size belong together.
    var size: UInt64?
    var cycle: CycleSignature?
  }

  private struct Members {
    var group: LeakGroup
    var cycles: Set<UInt32> = []
  }

  private let graph: BlockGraph
  private let classes: LeakClasses
  private let scanner: BlockScanner
  private var heap: Heap { scanner.heap }
  private let types: (any TypeNaming)?
  private let addressLimit: Int
  private var numbers: [Key: Int] = [:]
  private var members: [Members] = []
  /// Blocks that were left out.
  private(set) var suppressed = BlockCount()

  init(_ graph: BlockGraph, _ classes: LeakClasses, scanner: BlockScanner, types: (any TypeNaming)?, addressLimit: Int) {
    self.graph = graph
    self.classes = classes
    self.scanner = scanner
    self.types = types
    self.addressLimit = addressLimit
    let signatures = classes.firstNodes.indices.map { signature(ofCycle: UInt32($0)) }
    // By node, the number of its group.
    var groups = [UInt32](repeating: .max, count: graph.count)
    for node in 0..<graph.count { groups[node] = add(node, signatures) }
    for node in 0..<graph.count where classes.kinds[node] == .indirect {
      let owner = groups[Int(classes.owners[node])]
      if owner != .max { members[Int(owner)].group.held += count(heap.describe(graph.blocks[node])) }
    }
  }

  private func signature(ofCycle cycle: UInt32) -> CycleSignature {
    let first = Int(classes.firstNodes[Int(cycle)])
    let ring = graph.shortestRing(through: first) { classes.cycles[$0] == cycle }
    guard let ring else { return CycleSignature(endless: describe(first)) }
    return CycleSignature(
      ring.indices.map { step in
        let (node, next) = (ring[step], ring[(step + 1) % ring.count])
        return CycleSignature.Step(type: describe(node), field: fieldName(of: node, to: next))
      })
  }

  /// The field of a node's object that points to another node.
  private func fieldName(of node: Int, to next: Int) -> String? {
    guard let types, !graph.untyped.contains(node) else { return nil }
    let block = graph.blocks[node]
    var offset: UInt64?
    _ = scanner.forEachTarget(of: block) { place, _, target in
      if offset == nil, place >= 8, target == graph.blocks[next] { offset = place }
    }
    return offset.flatMap { types.fieldName(at: heap.address(of: block), size: heap.usableSize(of: block), offset: $0) }
  }

  private func describe(_ node: Int) -> String {
    typeName(of: node) ?? "block of \(heap.usableSize(of: graph.blocks[node])) bytes"
  }

  private func typeName(of node: Int) -> String? {
    if graph.untyped.contains(node) { return nil }
    let block = graph.blocks[node]
    return types?.typeName(at: heap.address(of: block), size: heap.usableSize(of: block))
  }

  private func count(_ block: Block) -> BlockCount { BlockCount(blocks: 1, bytes: block.requested ?? block.size) }

  /// Adds a block to its group and returns the group's number.
  private mutating func add(_ node: Int, _ signatures: [CycleSignature]) -> UInt32 {
    let block = heap.describe(graph.blocks[node])
    let count = count(block)
    guard let kind = classes.kinds[node] else {
      suppressed += count
      return .max
    }
    let type = typeName(of: node)
    let cycle = classes.cycles[node]
    let signature = cycle == LeakClasses.noCycle ? nil : signatures[Int(cycle)]
    let key = Key(
      kind: kind, type: type, stack: block.stack, size: type == nil && block.stack == nil ? count.bytes : nil,
      cycle: signature)
    let number = numbers[key] ?? members.count
    if number == members.count {
      numbers[key] = number
      let description = signature?.description
      members.append(
        Members(
          group: LeakGroup(
            kind: kind, count: BlockCount(), type: type, blockSize: count.bytes, cycle: description, stackID: block.stack)))
    }
    members[number].group.count += count
    if members[number].group.addresses.count < addressLimit { members[number].group.addresses.append(block.start) }
    if members[number].group.blockSize != count.bytes { members[number].group.blockSize = nil }
    if signature != nil { members[number].cycles.insert(cycle) }
    return UInt32(number)
  }

  /// The groups with their frames, most bytes first; of equal ones the one whose first block lies lowest.
  func groups(_ frames: inout FrameCache) -> [LeakGroup] {
    var groups: [LeakGroup] = []
    for entry in members {
      var group = entry.group
      group.cycles = entry.cycles.isEmpty ? nil : entry.cycles.count
      group.cycleNumbers = entry.cycles
      group.stack = group.stackID.flatMap { frames[$0] }
      groups.append(group)
    }
    // Groups were made in address order, and numbers break ties: the order is always the same.
    return groups.enumerated().sorted {
      ($1.element.count.bytes, $1.element.count.blocks, $0.offset) < ($0.element.count.bytes, $0.element.count.blocks, $1.offset)
    }.map(\.element)
  }
}
