// Where a program can hold a pointer outside the heap: registers, live stacks, and every other writable mapping.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// The memory that a search for reachable blocks starts from.
struct Roots {
  /// Words to start from: registers, and what glibc keeps for the stacks of ended threads.
  var words: [UInt64] = []
  /// Words that the kernel holds.
  var kernelWords: [KernelHeldWord] = []
  /// Memory to start from, in address order.
  var ranges: [Range<Address>] = []

  /// A shared file mapping above this many bytes holds data, not pointers: an address means nothing to the next process.
  static let largestSharedFile: UInt64 = 64 << 20

  /// - Parameter heapRanges: the allocator's own memory, in address order.
  init(_ mirror: MemoryMirror, heapRanges: [Range<Address>]) {
    let threads = mirror.image.threads
    for thread in threads { words += thread.registerWords }
    kernelWords = mirror.kernelHeldWords
    let stacks = ThreadStacks(mirror, heapRanges: heapRanges)
    words += stacks.words
    let excluded = (heapRanges + stacks.deadRanges).sorted { $0.lowerBound < $1.lowerBound }
    let mappings = mirror.mappings
    for (index, mapping) in mappings.enumerated() {
      let next = index + 1 < mappings.count ? mappings[index + 1] : nil
      if Self.mayHoldPointers(mapping) || next.map({ Self.isProtectedData(mapping, before: $0) }) ?? false {
        append(mapping.start..<mapping.end, without: excluded)
      }
    }
  }

  /// Whether a mapping is the front of a module's data that is made read-only once it is relocated (RELRO). A static program
  /// and the dynamic loader allocate before that, and hold what they allocated there.
  private static func isProtectedData(_ mapping: Mapping, before next: Mapping) -> Bool {
    mapping.isReadable && !mapping.isWritable && !mapping.isExecutable && !mapping.isShared && next.isWritable && !next.isShared
      && mapping.end == next.start && mapping.name.hasPrefix("/") && mapping.name == next.name
  }

  static func mayHoldPointers(_ mapping: Mapping) -> Bool {
    guard mapping.isReadable else { return false }
    // Anonymous memory that can't be written to may have been filled before it was protected.
    guard mapping.isWritable || mapping.inode == 0 && !mapping.isExecutable && mapping.name.isEmpty else { return false }
    let name = mapping.name
    if name.hasSuffix("/libmallow.so") || name == "[vvar]" || name == "[vdso]" || name == "[vsyscall]" { return false }
    if name.hasPrefix("/dev/") {
      // Reading a device can have effects; /dev/zero and /dev/shm are ordinary memory.
      return name.hasPrefix("/dev/zero") || name.hasPrefix("/dev/shm/")
    }
    if mapping.isShared, name.hasPrefix("/"), !name.hasPrefix("/memfd:"), !name.hasPrefix("/SYSV"), !mapping.isDeleted {
      return mapping.size <= largestSharedFile
    }
    return true
  }

  private mutating func append(_ range: Range<Address>, without excluded: [Range<Address>]) {
    var start = range.lowerBound
    // The exclusions may overlap each other, so each only moves the start up.
    for hole in excluded where hole.upperBound > start && hole.lowerBound < range.upperBound {
      if hole.lowerBound > start { ranges.append(start..<hole.lowerBound) }
      start = max(start, hole.upperBound)
      if start >= range.upperBound { return }
    }
    if start < range.upperBound { ranges.append(start..<range.upperBound) }
  }
}
