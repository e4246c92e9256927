// Which parts of stacks are dead: below a thread's stack pointer, and all of an ended thread's stack, which glibc keeps for
// the next thread. What was left there must not make a lost block look reachable.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// The stacks of threads, live and ended, as glibc lays them out (nptl/descr.h, sysdeps/x86_64/nptl/tls.h): a thread's control
/// block lies at the top of its stack, with its own address in words 0 and 2, the stack's bounds among its fields and the
/// static thread-local variables below it.
struct ThreadStacks {
  /// Memory whose contents are stale.
  private(set) var deadRanges: [Range<Address>] = []
  /// Words in dead ranges that hold nonetheless.
  private(set) var words: [UInt64] = []

  /// Below the stack pointer a leaf function may use this much (System V ABI for x86-64, "red zone").
  static let redZone: UInt64 = 128
  private static let controlBlockSize: UInt64 = 0x900
  private static let dtvOffset: UInt64 = 8
  private static let threadIDOffset: UInt64 = 0x2d0

  init(_ mirror: MemoryMirror, heapRanges: [Range<Address>]) {
    let threads = mirror.image.threads
    let livePointers = Dictionary(threads.map { ($0.threadPointer, $0) }) { first, _ in first }
    for mapping in mirror.mappings where Self.mayHoldStacks(mapping) && !Self.lies(mapping, in: heapRanges) {
      for block in Self.controlBlocks(in: mapping, mirror) {
        guard let stack = Self.stack(of: block, word: { mirror.word($0) }) else { continue }
        if let thread = livePointers[block] {
          let end = thread.stackPointer - Self.redZone
          if stack.contains(thread.stackPointer), stack.lowerBound < end { deadRanges.append(stack.lowerBound..<end) }
        } else {
          addDead(stack, block, mirror)
        }
      }
    }
    for thread in threads {
      guard let mapping = mirror.image.mapping(containing: thread.stackPointer), mapping.name == "[stack]" else { continue }
      let end = thread.stackPointer - Self.redZone
      if mapping.start < end { deadRanges.append(mapping.start..<end) }
    }
  }

  private mutating func addDead(_ stack: Range<Address>, _ block: Address, _ mirror: MemoryMirror) {
    // The table of thread-local blocks stays allocated for the next thread on this stack.
    if let dtv = mirror.word(block + Self.dtvOffset) { words.append(dtv) }
    // The value that the thread returned waits in its control block for pthread_join, which leaves -1 as the thread's id.
    let isJoined = mirror.load(block + Self.threadIDOffset, as: Int32.self) == -1
    if isJoined || block >= stack.upperBound {
      deadRanges.append(stack)
    } else {
      deadRanges.append(stack.lowerBound..<block)
    }
  }

  private static func mayHoldStacks(_ mapping: Mapping) -> Bool {
    mapping.isReadable && mapping.isWritable && !mapping.isShared && mapping.inode == 0 && !mapping.name.hasPrefix("[stack")
  }

  private static func lies(_ mapping: Mapping, in ranges: [Range<Address>]) -> Bool {
    ranges.contains { $0.lowerBound <= mapping.start && mapping.end <= $0.upperBound }
  }

  private static func controlBlocks(in mapping: Mapping, _ mirror: MemoryMirror) -> [Address] {
    var found: [Address] = []
    mirror.stream(mapping.start..<mapping.end) { start, bytes in
      var offset = Int((16 - start.rawValue % 16) % 16)
      while offset + 24 <= bytes.count {
        let address = start.rawValue + UInt64(offset)
        if bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) == address,
          bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self) == address
        {
          found.append(Address(address))
        }
        offset += 16
      }
    }
    return found
  }

  /// The bounds of the stack that a control block lies on: two adjoining words in it, a start and a size in whole pages, whose
  /// sum is the end of the page that the control block ends in.
  static func stack(of block: Address, word: (Address) -> UInt64?) -> Range<Address>? {
    let end = (block.rawValue + controlBlockSize + 4095) & ~4095
    for offset in stride(from: UInt64(24), to: controlBlockSize, by: 8) {
      guard let start = word(block + offset), let size = word(block + offset + 8) else { return nil }
      guard start % 4096 == 0, size % 4096 == 0, start < block.rawValue, size >= 4096 else { continue }
      let (sum, overflow) = start.addingReportingOverflow(size)
      if !overflow, sum > block.rawValue, sum <= end { return Address(start)..<Address(sum) }
    }
    return nil
  }
}
