// The search for leaks: live blocks that nothing in the program can reach.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Finds lost memory in an image.
///
/// Marking is conservative: any word that could be a pointer counts as one, so what is reported is truly unreachable, while a
/// chance value can hide a lost block. The kinds are told apart by the pointers among the lost blocks: what nothing
/// points to is definite, blocks that hold each other are a cycle, everything that hangs on either is indirect, a
/// cycle that a lost block points to included.
public struct LeakSearch {
  /// How to search.
  public struct Options {
    /// Leaks to leave out.
    public var suppressions = Suppressions()
    /// The most addresses to list for a group.
    public var addressLimit = Int.max
    /// Whether Swift's runtime is in the program; nil where only its shared library tells.
    public var isSwift: Bool?

    public init() {}
  }

  private let heap: Heap
  private let stacks: StackTable
  private let heapRanges: [Range<Address>]
  private let options: Options

  public init(_ heap: TargetHeap, options: Options = Options()) {
    self.init(heap.heap, stacks: heap.stacks, heapRanges: heap.heapRanges, options: options)
  }

  public init(_ heap: MallowHeap, options: Options = Options()) {
    self.init(heap.heap, stacks: heap.stacks, heapRanges: heap.heapRanges, options: options)
  }

  /// - Parameter heapRanges: the allocator's own memory, in address order: no roots.
  public init(_ heap: Heap, stacks: StackTable, heapRanges: [Range<Address>], options: Options = Options()) {
    self.heap = heap
    self.stacks = stacks
    self.heapRanges = heapRanges
    self.options = options
  }

  /// Searches.
  /// - Parameters:
  ///   - symbolizer: turns the stacks of leaks into frames.
  ///   - types: names the types of lost blocks.
  public func run(symbolizer: (any StackSymbolizing)? = nil, types: (any TypeNaming)? = nil) -> LeakReport {
    let clock = ContinuousClock()
    let start = clock.now
    let isSwift = options.isSwift ?? heap.mirror.mappings.contains { $0.name.contains("/libswiftCore.so") }
    let scanner = BlockScanner(heap, isSwift: isSwift)
    let reachable = Reachability(scanner, roots: Roots(heap.mirror, heapRanges: heapRanges))
    let graph = BlockGraph(scanner, numbers: heap.live.subtracting(reachable.marks))
    var frames = FrameCache(stacks, symbolizer)
    let suppressed = suppressedNodes(graph, &frames)
    let classes = LeakClasses(graph, leavingOut: suppressed)
    let grouping = LeakGrouping(graph, classes, scanner: scanner, types: types, addressLimit: options.addressLimit)
    let elapsed = clock.now - start
    let groups = grouping.groups(&frames)
    return LeakReport(
      leaks: groups.reduce(into: BlockCount()) { $0 += $1.count }, groups: groups, suppressed: grouping.suppressed,
      scannedBytes: reachable.bytesScanned, scannedMilliseconds: elapsed / .milliseconds(1), disguises: reachable.disguises)
  }

  /// Nodes that a suppression matches, and all that they point to, as LeakSanitizer has it.
  private func suppressedNodes(_ graph: BlockGraph, _ frames: inout FrameCache) -> BitSet {
    var result = BitSet(capacity: graph.count)
    guard !options.suppressions.isEmpty else { return result }
    var matches: [StackID: Bool] = [:]
    var first: [Int] = []
    for node in 0..<graph.count {
      guard let stack = heap.describe(graph.blocks[node]).stack else { continue }
      let isMatch: Bool
      if let known = matches[stack] {
        isMatch = known
      } else {
        isMatch = frames[stack].map(options.suppressions.matches) ?? false
        matches[stack] = isMatch
      }
      if isMatch { first.append(node) }
    }
    graph.flood(from: first, &result) { _ in }
    return result
  }
}

/// The frames of recorded stacks; each is symbolized once.
struct FrameCache {
  private let stacks: StackTable
  private let symbolizer: (any StackSymbolizing)?
  private var known: [StackID: [StackFrame]] = [:]

  init(_ stacks: StackTable, _ symbolizer: (any StackSymbolizing)?) {
    self.stacks = stacks
    self.symbolizer = symbolizer
  }

  subscript(_ id: StackID) -> [StackFrame]? {
    mutating get {
      if let frames = known[id] { return frames }
      guard let symbolizer, let record = stacks[id] else { return nil }
      let frames = symbolizer.frames(record.frames)
      known[id] = frames
      return frames
    }
  }
}
