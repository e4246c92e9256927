// Why a block is alive: a chain of pointers that leads from a root to it.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Pointers from a root to a block.
public struct PointerChain: Hashable, Sendable {
  /// Where a chain begins.
  public enum Root: Hashable, Sendable {
    /// A word in memory outside the heap.
    case memory(Address)
    /// A thread's register, by its name.
    case register(thread: Int32, name: String)
    /// A word that glibc keeps for the stack of a thread that has ended.
    case endedThread
    /// A word that only the kernel holds, and what for.
    case kernel(String)
  }

  /// A block on the way.
  public struct Link: Hashable, Sendable {
    public var start: Address
    /// Bytes that the program may use.
    public var size: UInt64
    /// Where the pointer to the next block lies in this one; nil in the last.
    public var offset: UInt64?
  }

  public var root: Root
  /// From the block that the root points to up to the one that was asked about; of a very long chain the first and the last ones.
  public var links: [Link]
  /// How many are left out, after the first half of `links`.
  public var omitted = 0
}

/// A search for the shortest chain to a block: breadth first, from variables of the program and its libraries; where none leads there,
/// from stacks and all other memory; at last from registers and what the kernel holds. What is reached from a variable says more than a leftover on a stack.
///
/// Memory: a bit for each block, and 12 bytes for each that is met before the one that is looked for.
struct ChainSearch {
  private let scanner: BlockScanner
  private let roots: Roots
  /// Ranges in the order they are to be tried.
  private let phases: [[Range<Address>]]

  /// A block that was met, and the position in `met` of the one that points to it.
  private struct Met {
    var block: BlockIndex
    var parent: UInt32
  }

  private static let root = UInt32.max
  private static let linkLimit = 1000

  /// - Parameter isVariable: whether a range of the roots belongs to an executable or library.
  init(_ scanner: BlockScanner, roots: Roots, isVariable: (Range<Address>) -> Bool) {
    self.scanner = scanner
    self.roots = roots
    var (variables, others): ([Range<Address>], [Range<Address>]) = ([], [])
    for range in roots.ranges {
      if isVariable(range) { variables.append(range) } else { others.append(range) }
    }
    phases = [variables, others]
  }

  /// The chain, or nil where nothing leads to the block.
  func chain(to target: BlockIndex) -> PointerChain? {
    var marks = BitSet(capacity: scanner.heap.numberLimit)
    var met: [Met] = []
    var next = 0
    let wanted = scanner.heap.number(of: target)

    func meet(_ block: BlockIndex, from parent: UInt32) {
      if marks.insert(scanner.heap.number(of: block)), met.count < Int(UInt32.max) {
        met.append(Met(block: block, parent: parent))
      }
    }
    /// Goes on from what was met; true once the target is.
    func advance() -> Bool {
      while next < met.count, !marks.contains(wanted) {
        let parent = UInt32(next)
        next += 1
        _ = scanner.forEachTarget(of: met[Int(parent)].block) { _, _, block in meet(block, from: parent) }
      }
      return marks.contains(wanted)
    }

    for ranges in phases {
      for range in ranges { forEachWord(of: range) { _, word in scanner.target(of: word).map { meet($0, from: Self.root) } } }
      if advance() { return chain(to: wanted, met) }
    }
    for word in roots.words + roots.kernelWords.map(\.value) { scanner.target(of: word).map { meet($0, from: Self.root) } }
    return advance() ? chain(to: wanted, met) : nil
  }

  private func chain(to wanted: Int, _ met: [Met]) -> PointerChain? {
    let heap = scanner.heap
    guard var position = met.lastIndex(where: { heap.number(of: $0.block) == wanted }) else { return nil }
    var blocks: [BlockIndex] = [met[position].block]
    while met[position].parent != Self.root {
      position = Int(met[position].parent)
      blocks.append(met[position].block)
    }
    blocks.reverse()
    let omitted = max(0, blocks.count - Self.linkLimit)
    let shown = omitted == 0 ? Array(blocks.indices) : blocks.indices.prefix(Self.linkLimit / 2) + blocks.indices.suffix(Self.linkLimit / 2)
    let links = shown.map { index in
      PointerChain.Link(
        start: heap.address(of: blocks[index]), size: heap.usableSize(of: blocks[index]),
        offset: index + 1 < blocks.count ? offset(from: blocks[index], to: blocks[index + 1]) : nil)
    }
    return PointerChain(root: root(of: blocks[0]), links: links, omitted: omitted)
  }

  private func offset(from block: BlockIndex, to target: BlockIndex) -> UInt64? {
    var result: UInt64?
    _ = scanner.forEachTarget(of: block) { offset, _, found in if result == nil, found == target { result = offset } }
    return result
  }

  /// Looks once more for the word that points to a block: remembering it for each would cost more.
  private func root(of block: BlockIndex) -> PointerChain.Root {
    for ranges in phases {
      for range in ranges {
        var found: Address?
        forEachWord(of: range) { address, word in if found == nil, scanner.target(of: word) == block { found = address } }
        if let found { return .memory(found) }
      }
    }
    for thread in scanner.mirror.image.threads {
      if let index = thread.registerWords.firstIndex(where: { scanner.target(of: $0) == block }) {
        return .register(thread: thread.threadID, name: Self.registerName(index))
      }
    }
    return roots.kernelWords.first { scanner.target(of: $0.value) == block }.map { .kernel($0.holder.rawValue) } ?? .endedThread
  }

  private func forEachWord(of range: Range<Address>, _ body: (Address, UInt64) -> Void) {
    scanner.mirror.stream(range) { start, bytes in
      var offset = Int((8 - start.rawValue % 8) % 8)
      while offset + 8 <= bytes.count {
        body(start + UInt64(offset), bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        offset += 8
      }
    }
  }

  /// By the order of ``ThreadState/registerWords``.
  static func registerName(_ index: Int) -> String {
    let names = [
      "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
      "eflags",
      "orig_rax", "fs_base", "gs_base",
    ]
    return index < names.count ? names[index] : "a vector register"
  }
}
