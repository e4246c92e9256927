// Where the stacks of threads are, and the guards below them.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

extension AddressSpaceFacts {
  /// Above a stack pointer a control block is looked for no further than this.
  private static let searchLimit: UInt64 = 8 << 20
  private static let controlBlockSize: UInt64 = 0x900

  /// Finds the blocks of memory that threads' stacks were made in, from their control blocks.
  /// - Parameter threadPointers: of `threads` in their order, 0 where unknown; empty where none is known.
  public mutating func findStackBlocks(threadPointers: [Address] = [], read: (Address, UnsafeMutableRawBufferPointer) -> Int) {
    // The layout of glibc for 64 bits. Elsewhere mappings have to do.
    guard auxiliaryVector?.wordSize ?? 8 == 8 else { return }
    for index in threads.indices.dropFirst() {
      guard let pointer = threads[index].stackPointer, let mapping = mapping(containing: pointer), Self.mayHoldStack(mapping) else { continue }
      let known = index < threadPointers.count && threadPointers[index] != Address(0) ? threadPointers[index] : nil
      guard let block = known ?? Self.controlBlock(above: pointer, in: mapping, read) else { continue }
      threads[index].stackBlock = Self.bytes(block, Int(Self.controlBlockSize), read).withUnsafeBytes { bytes in
        ThreadStacks.stack(of: block) { address in
          let offset = Int(truncatingIfNeeded: address - block)
          return offset >= 0 && offset + 8 <= bytes.count ? bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) : nil
        }
      }
    }
  }

  private static func mayHoldStack(_ mapping: Mapping) -> Bool {
    mapping.isReadable && mapping.isWritable && !mapping.isShared && mapping.inode == 0 && mapping.name != "[stack]"
  }

  /// A thread's control block has its own address in words 0 and 2 (ThreadStacks). It lies above the frames of its stack, which were all
  /// touched: nothing is read that the target never used.
  private static func controlBlock(
    above pointer: Address, in mapping: Mapping, _ read: (Address, UnsafeMutableRawBufferPointer) -> Int
  ) -> Address? {
    var start = Address(pointer.rawValue & ~4095)
    let end = min(mapping.end, start + searchLimit)
    while start < end {
      let chunk = bytes(start, Int(min(end - start, 65536)), read)
      let found = chunk.withUnsafeBytes { bytes in
        stride(from: 0, to: max(0, bytes.count - 23), by: 16).first { offset in
          let address = start.rawValue + UInt64(offset)
          return bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) == address
            && bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self) == address
        }
      }
      if let found { return start + UInt64(found) }
      if chunk.count < 65536 { return nil }
      start = start + UInt64(chunk.count)
    }
    return nil
  }

  private static func bytes(_ start: Address, _ count: Int, _ read: (Address, UnsafeMutableRawBufferPointer) -> Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { $1 = read(start, UnsafeMutableRawBufferPointer($0)) }
  }

  /// Stacks and guards of all threads but the main one.
  var stackLabels: [AddressSpaceLabel] {
    var labels: [AddressSpaceLabel] = []
    for thread in threads.dropFirst() {
      func add(_ range: Range<Address>, _ kind: AddressSpace.Kind) {
        labels.append(AddressSpaceLabel(range: range, rank: .stack, kind: kind, name: thread.name, threadID: thread.threadID))
      }
      guard let pointer = thread.stackPointer, let index = mappingIndex(containing: pointer), Self.mayHoldStack(mappings[index]) else { continue }
      let mapping = mappings[index]
      let below = index > 0 && mappings[index - 1].end == mapping.start && mappings[index - 1].isInaccessible ? mappings[index - 1] : nil
      if let block = thread.stackBlock, block.contains(pointer) {
        add(max(block.lowerBound, mapping.start)..<min(block.upperBound, mapping.end), .threadStack)
        if block.lowerBound < mapping.start { add(block.lowerBound..<mapping.start, .guardPages) }
      } else if let below {
        // Any other library's threads: what lies above inaccessible memory.
        add(mapping.start..<mapping.end, .threadStack)
        add(below.start..<below.end, .guardPages)
      }
    }
    return labels
  }
}

extension Mapping {
  fileprivate var isInaccessible: Bool { !isReadable && !isWritable && !isExecutable && inode == 0 }
}
