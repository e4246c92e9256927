// What lies at the top of the main stack since the program's start.
// SPDX-License-Identifier: Apache-2.0

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

  /// Finds the parts by the auxiliary vector, whose bytes are looked for at the top of the stack.
  public init(_ vector: AuxiliaryVector, mappings: [Mapping], read: (Address, UnsafeMutableRawBufferPointer) -> Int) {
    self.init()
    guard let mark = vector.executableName ?? vector.randomBytes, let stack = mappings.first(where: { $0.contains(mark) }) else { return }
    let size = min(Int(clamping: stack.size), Self.sizeLimit)
    let start = stack.end - UInt64(size)
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      count = read(start, UnsafeMutableRawBufferPointer(buffer))
    }
    let memory = StackBytes(start: start.rawValue, bytes: bytes, wordSize: vector.wordSize)
    if let name = vector.executableName { executableName = memory.string(name.rawValue) }
    // It lies below the random bytes that one of its entries points to.
    guard let found = memory.last(vector.bytes, below: (vector.randomBytes ?? mark).rawValue) else { return }
    auxiliaryVector = Address(found)..<Address(found) + UInt64(vector.bytes.count)
    guard let environment = memory.pointers(endingAt: found), let arguments = memory.pointers(endingAt: environment.lowerBound) else {
      return
    }
    let word = UInt64(vector.wordSize)
    guard arguments.lowerBound >= start.rawValue + word else { return }
    let count = (arguments.upperBound - arguments.lowerBound) / word - 1
    guard memory.word(arguments.lowerBound - word) == count else { return }
    pointers = Address(arguments.lowerBound - word)..<Address(found)
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

  /// The last place of some bytes, in steps of a word.
  func last(_ wanted: [UInt8], below limit: UInt64) -> UInt64? {
    guard limit >= start, wanted.count <= bytes.count, !wanted.isEmpty else { return nil }
    var offset = min(Int(clamping: limit - start), bytes.count - wanted.count) & ~(wordSize - 1)
    while offset >= 0 {
      if bytes[offset] == wanted[0], bytes[offset..<offset + wanted.count].elementsEqual(wanted) { return start + UInt64(offset) }
      offset -= wordSize
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
