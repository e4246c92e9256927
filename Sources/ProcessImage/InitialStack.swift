// What lies at the top of the main stack since the program's start.
// SPDX-License-Identifier: Apache-2.0
import CLinux

/// The parts of the main stack that the kernel filled when the program started. From the top down: eight zero bytes, the executable's
/// name, the environment's strings, the arguments' strings, the platform's name and random bytes, the auxiliary vector, the pointers to
/// the environment, the pointers to the arguments, and their count.
public struct InitialStack: Hashable, Sendable {
  /// The arguments' strings.
  public var arguments: Range<Address>?
  /// The environment's strings.
  public var environment: Range<Address>?
  public var auxiliaryVector: Range<Address>?
  /// The count of arguments and the pointers to both kinds of strings.
  public var pointers: Range<Address>?
  /// The executable's name, as the kernel was given it.
  public var executableName: Range<Address>?

  public init(
    arguments: Range<Address>? = nil, environment: Range<Address>? = nil, auxiliaryVector: Range<Address>? = nil,
    pointers: Range<Address>? = nil, executableName: Range<Address>? = nil
  ) {
    self.arguments = arguments
    self.environment = environment
    self.auxiliaryVector = auxiliaryVector
    self.pointers = pointers
    self.executableName = executableName
  }

  /// Strings and pointers together are at most a quarter of the stack's limit (execve(2)); more is not looked at.
  private static let sizeLimit = 8 << 20

  /// Finds the parts by the auxiliary vector, which is looked for at the top of the stack.
  /// - Parameters:
  ///   - touched: gives the parts of a range that were ever used. The others are not read.
  ///   - read: reads memory.
  public init(
    _ vector: AuxiliaryVector, mappings: [Mapping], touched: (Range<Address>) -> [Range<Address>] = { [$0] },
    read: (Address, UnsafeMutableRawBufferPointer) -> Int
  ) {
    self.init()
    guard let mark = vector.executableName ?? vector.randomBytes, let stack = mappings.first(where: { $0.contains(mark) }) else { return }
    // Mostly a small piece is enough.
    for limit in [64 << 10, Self.sizeLimit] where pointers == nil {
      let size = min(Int(clamping: stack.size), limit)
      let start = stack.end - UInt64(size)
      var bytes = [UInt8](repeating: 0, count: size)
      bytes.withUnsafeMutableBytes { buffer in
        // The kernel leaves a gap of random size, in which whole pages may be untouched.
        for range in touched(start..<stack.end) {
          let from = max(range.lowerBound, start)
          guard from < range.upperBound, from < stack.end else { continue }
          let count = min(range.upperBound, stack.end) - from
          _ = read(from, UnsafeMutableRawBufferPointer(rebasing: buffer[Int(from - start)..<Int(from - start + count)]))
        }
      }
      find(vector, below: vector.randomBytes ?? mark, in: StackBytes(start: start.rawValue, bytes: bytes, wordSize: vector.wordSize))
    }
  }

  private mutating func find(_ vector: AuxiliaryVector, below mark: Address, in memory: StackBytes) {
    if let name = vector.executableName { executableName = memory.string(name.rawValue) }
    // It lies below the random bytes that one of its entries points to.
    guard let found = memory.vector(vector, below: mark.rawValue) else { return }
    auxiliaryVector = Address(found.lowerBound)..<Address(found.upperBound)
    guard let environment = memory.pointers(endingAt: found.lowerBound), let arguments = memory.pointers(endingAt: environment.lowerBound)
    else { return }
    let word = UInt64(vector.wordSize)
    guard arguments.lowerBound >= memory.start + word else { return }
    let count = (arguments.upperBound - arguments.lowerBound) / word - 1
    guard memory.word(arguments.lowerBound - word) == count else { return }
    pointers = Address(arguments.lowerBound - word)..<Address(found.lowerBound)
    self.arguments = memory.strings(arguments)
    self.environment = memory.strings(environment)
  }
}

/// The top of a stack, copied.
private struct StackBytes {
  let start: UInt64
  let bytes: [UInt8]
  let wordSize: Int

  func word(_ address: UInt64) -> UInt64? {
    guard address >= start, address - start + UInt64(wordSize) <= UInt64(bytes.count) else { return nil }
    let offset = Int(address - start)
    return bytes.withUnsafeBytes {
      wordSize == 8 ? $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) : UInt64($0.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
  }

  /// The highest place of an auxiliary vector with these values: one of its pairs, and all pairs around it.
  func vector(_ vector: AuxiliaryVector, below limit: UInt64) -> Range<UInt64>? {
    guard limit >= start, let entry = vector.values.first(where: { $0.key == UInt64(AT_PHDR) }) else { return nil }
    let size = UInt64(wordSize)
    var address = (start + min(limit - start, UInt64(bytes.count))) & ~(size - 1)
    while address >= start + size {
      address -= size
      guard word(address) == entry.key, word(address + size) == entry.value else { continue }
      var first = address
      while let type = word(first &- 2 * size), let value = vector.values[type], word(first - size) == value { first -= 2 * size }
      var end = address
      while let type = word(end), let value = vector.values[type], word(end + size) == value { end += 2 * size }
      if word(end) == UInt64(AT_NULL) { return first..<end + 2 * size }
    }
    return nil
  }

  /// The array of pointers into the stack, with the zero that ends it, that lies before `end`.
  func pointers(endingAt end: UInt64) -> Range<UInt64>? {
    let size = UInt64(wordSize)
    guard end >= start + size, word(end - size) == 0 else { return nil }
    var first = end - size
    while first >= start + size, let value = word(first - size), value >= end, value - start < UInt64(bytes.count) { first -= size }
    return first..<end
  }

  func string(_ address: UInt64) -> Range<Address>? {
    guard address >= start, address - start < UInt64(bytes.count) else { return nil }
    let first = Int(address - start)
    guard let end = bytes[first...].firstIndex(of: 0) else { return nil }
    return Address(address)..<Address(start + UInt64(end) + 1)
  }

  /// From the first of the strings to the end of the last.
  func strings(_ pointers: Range<UInt64>) -> Range<Address>? {
    var lowest = UInt64.max
    var highest: UInt64 = 0
    for address in stride(from: pointers.lowerBound, to: pointers.upperBound - UInt64(wordSize), by: wordSize) {
      guard let value = word(address) else { return nil }
      lowest = min(lowest, value)
      highest = max(highest, value)
    }
    guard lowest <= highest, let last = string(highest) else { return nil }
    return Address(lowest)..<last.upperBound
  }
}
