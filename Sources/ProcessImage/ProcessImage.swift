// What every analysis reads: a target's memory, mappings and threads, whatever they come from.
// SPDX-License-Identifier: Apache-2.0

/// A target at one moment: a stopped process, a forked snapshot, or memory built by a test.
///
/// Nothing that is read is trusted: a read of unmapped memory returns fewer bytes, never a trap.
public protocol ProcessImage: AnyObject {
  /// The process id, 0 where there is none.
  var processID: Int32 { get }
  /// The executable's path, empty where unknown.
  var executable: String { get }
  /// All mappings in address order, without overlaps.
  var mappings: [Mapping] { get }
  /// All threads, with the registers they were stopped with. The main thread is first.
  var threads: [ThreadState] { get }

  /// Reads memory from `address` upward into `buffer`.
  /// - Returns: the number of bytes read; fewer than asked where memory is unreadable.
  func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int

  /// The parts of a range of anonymous memory that were ever touched, in address order: the rest holds zeros.
  /// All of it where that is not known.
  func touchedRanges(in range: Range<Address>) -> [Range<Address>]

  /// Words that the kernel holds for the target. None where that can't be asked, as of a core file.
  var kernelHeldWords: [KernelHeldWord] { get }
}

extension ProcessImage {
  public func touchedRanges(in range: Range<Address>) -> [Range<Address>] { [range] }
  public var kernelHeldWords: [KernelHeldWord] { [] }
}

/// A thread as it was stopped.
public struct ThreadState: Sendable {
  /// The kernel's thread id.
  public var threadID: Int32
  public var name: String
  public var stackPointer: Address
  public var programCounter: Address
  /// The thread pointer (`fs` base on x86-64): the address of the thread control block.
  public var threadPointer: Address
  /// Every word that a register holds, vector registers included: a pointer may be in any of them.
  public var registerWords: [UInt64]

  public init(
    threadID: Int32, name: String = "", stackPointer: Address, programCounter: Address = Address(0),
    threadPointer: Address = Address(0), registerWords: [UInt64] = []
  ) {
    self.threadID = threadID
    self.name = name
    self.stackPointer = stackPointer
    self.programCounter = programCounter
    self.threadPointer = threadPointer
    self.registerWords = registerWords
  }
}

extension ProcessImage {
  /// Reads one little-endian word of `T`, or nil where that memory can't be read.
  public func load<T: BitwiseCopyable>(_ address: Address, as type: T.Type = T.self) -> T? {
    withUnsafeTemporaryAllocation(byteCount: MemoryLayout<T>.size, alignment: MemoryLayout<T>.alignment) { buffer in
      guard read(address, into: buffer) == buffer.count else { return nil }
      return buffer.load(as: T.self)
    }
  }

  /// Reads `count` bytes, or as many as are readable.
  public func bytes(_ address: Address, count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = read(address, into: UnsafeMutableRawBufferPointer(buffer))
    }
  }

  /// Reads a string that ends in a zero byte; at most `limit` bytes of it.
  public func string(_ address: Address, limit: Int = 4096) -> String? {
    var bytes = self.bytes(address, count: limit)
    guard !bytes.isEmpty else { return nil }
    if let end = bytes.firstIndex(of: 0) { bytes.removeSubrange(end...) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The mapping that contains `address`.
  public func mapping(containing address: Address) -> Mapping? {
    let low = mappings.partitionPoint { $0.end <= address }
    return low < mappings.count && mappings[low].contains(address) ? mappings[low] : nil
  }
}
