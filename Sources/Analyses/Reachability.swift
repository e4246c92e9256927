// Conservative marking: every live block that can be reached from the roots.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Finds the reachable blocks.
struct Reachability {
  /// The numbers of the reachable blocks.
  let marks: BitSet
  /// Bytes looked at, roots and live blocks.
  let bytesScanned: UInt64
  /// Blocks that are reached only otherwise than by plain words.
  let disguises: DisguiseCounts

  init(_ scanner: BlockScanner, roots: Roots) {
    let graph = ReferenceGraph(scanner)
    var marking = Marking(graph)
    var bytes = graph.bytesScanned + UInt64(roots.words.count) * 8
    for word in roots.words { marking.mark(word) }
    for range in roots.ranges {
      bytes += scanner.mirror.stream(range) { start, bytes in
        var offset = Int((8 - start.rawValue % 8) % 8)
        while offset + 8 <= bytes.count {
          marking.mark(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
          offset += 8
        }
      }
    }
    marking.drain()
    // Last, so that these count only what nothing else leads to.
    for word in roots.kernelWords { marking.mark(word) }
    marking.drain()
    if marking.marks.count < graph.count {
      let search = UnalignedSearch(graph, lost: marking.marks)
      for (node, disguise) in search.references(from: roots) { marking.postpone(node, disguise) }
      marking.follow(search.references())
    }
    marks = graph.ranks.members(marking.marks)
    bytesScanned = bytes
    disguises = marking.disguises
  }
}

/// Marks the nodes of a graph, with a stack of its own: a list of ten million nodes overflows nothing.
///
/// References in disguise are followed only when no plain ones are left, so what they lead to is counted only where nothing plainer does.
struct Marking {
  private(set) var marks: BitSet
  private(set) var disguises = DisguiseCounts()
  private let graph: ReferenceGraph
  private var pending: [UInt32] = []
  /// What is to be followed when nothing is pending; the sources of these are marked.
  private var postponed: [(node: UInt32, disguise: Disguise)] = []
  /// References in disguise by their sources in ascending order, and those sources.
  private var disguised: [DisguisedReference]
  private var sources: BitSet

  init(_ graph: ReferenceGraph) {
    self.graph = graph
    marks = BitSet(capacity: graph.count)
    disguised = graph.disguised
    sources = BitSet(capacity: graph.count)
    for reference in disguised { sources.insert(Int(reference.source)) }
  }

  /// Marks what a word of a root points to.
  @inline(__always)
  mutating func mark(_ word: UInt64) {
    guard graph.scanner.mayBeReference(word), let (node, disguise) = graph.reference(word) else { return }
    if let disguise { postpone(node, disguise) } else { insert(node) }
  }

  mutating func mark(_ word: KernelHeldWord) {
    if let block = graph.scanner.target(of: word.value), let node = graph.node(of: block) { postpone(node, .kernel(word.holder)) }
  }

  mutating func postpone(_ node: UInt32, _ disguise: Disguise) {
    if !marks.contains(Int(node)) { postponed.append((node, disguise)) }
  }

  /// Follows further references in disguise, and whatever that leads to.
  mutating func follow(_ references: [DisguisedReference]) {
    disguised = (disguised + references).sorted { $0.source < $1.source }
    for reference in references {
      sources.insert(Int(reference.source))
      if marks.contains(Int(reference.source)) { postpone(reference.target, reference.disguise) }
    }
    drain()
  }

  @inline(__always)
  @discardableResult
  private mutating func insert(_ node: UInt32) -> Bool {
    guard marks.insert(Int(node)) else { return false }
    pending.append(node)
    return true
  }

  /// Marks all that the marked nodes lead to.
  mutating func drain() {
    drainPending()
    while let (node, disguise) = postponed.popLast() {
      guard insert(node) else { continue }
      disguises[disguise] += 1
      drainPending()
    }
  }

  private static let ahead = 16

  /// Nodes wait in a short queue while the processor fetches what is needed of them.
  private mutating func drainPending() {
    let graph = graph
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: Self.ahead) { queue in
      var (first, end) = (0, 0)
      while true {
        while end - first < Self.ahead, let node = pending.popLast() {
          graph.prefetch(node)
          queue[end % Self.ahead] = node
          end += 1
        }
        if first == end { return }
        let node = queue[first % Self.ahead]
        first += 1
        graph.forEachTarget(of: node) { insert($0) }
        if sources.contains(Int(node)) { postponeDisguised(of: node) }
      }
    }
  }

  private mutating func postponeDisguised(of node: UInt32) {
    var low = disguised.partitionPoint { $0.source < node }
    while low < disguised.count, disguised[low].source == node {
      postpone(disguised[low].target, disguised[low].disguise)
      low += 1
    }
  }
}
