// What the kernel gave a program at its start: arguments, environment, auxiliary vector.
// SPDX-License-Identifier: Apache-2.0

/// The top of the main thread's stack, as execve(2) leaves it (System V ABI for x86-64, 3.4.1): from the top down 8 zero bytes, the
/// executable's name, the strings of environment and arguments, further bytes, then the auxiliary vector, the pointers to the
/// strings, and the number of arguments.
public struct ProgramStart: Sendable {
  /// Where each argument's string begins, as the program's own pointers have it.
  public let arguments: [Address]
  /// Where each environment string begins.
  public let environment: [Address]
  /// The pointers to the arguments, with the null behind them.
  public let argumentPointers: Range<Address>
  /// The pointers to the environment, with the null behind them.
  public let environmentPointers: Range<Address>
  /// Pairs of words up to and with the pair of type 0.
  public let auxiliaryVector: Range<Address>
  /// The name that the program was executed by, with the zero byte behind it.
  public let executableName: Range<Address>

  private static let typeOfExecutableName: UInt64 = 31  // AT_EXECFN

  /// Finds it in an image. Nil where there is no stack of that form, or where it can't be read.
  public init?(_ image: any ProcessImage) {
    guard let stack = image.mappings.last(where: { $0.name == "[stack]" }), stack.size >= 4096 else { return nil }
    // Strings may take 6 MiB at most (a quarter of the stack's limit, execve(2)); what else there is takes less than 64 KiB.
    let size = min(Int(stack.size), 7 << 20)
    let base = stack.end - UInt64(size)
    var bytes = image.bytes(base, count: size)
    guard bytes.count == size else { return nil }
    // Eight zeros; before them, after the previous string's zero byte, the name with its own.
    guard bytes.suffix(8).allSatisfy({ $0 == 0 }) else { return nil }
    bytes.removeLast(8)
    guard bytes.last == 0, let before = bytes.dropLast().lastIndex(of: 0) else { return nil }
    let name = base + UInt64(before + 1)
    executableName = name..<base + UInt64(bytes.count)
    func word(_ address: Address) -> UInt64? {
      guard address >= base, address < name - 8 else { return nil }
      return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: Int(address - base), as: UInt64.self) }
    }

    var entry = Address((name - 16).rawValue & ~7)
    while word(entry) != Self.typeOfExecutableName || word(entry + 8) != name.rawValue {
      guard entry >= base + 8 else { return nil }
      entry = entry - 8
    }
    var start = entry
    while let type = word(start - 16), (1...255).contains(type) { start = start - 16 }
    var end = entry
    while let type = word(end), type != 0 { end = end + 16 }
    auxiliaryVector = start..<end + 16

    /// The pointers that end at a null right before `end`.
    func pointers(endingAt end: Address) -> (range: Range<Address>, strings: [Address])? {
      guard word(end - 8) == 0 else { return nil }
      var start = end - 8
      var strings: [Address] = []
      while let pointer = word(start - 8), pointer >= base.rawValue, pointer < stack.end.rawValue {
        strings.append(Address(pointer))
        start = start - 8
      }
      return (start..<end, strings.reversed())
    }
    guard let environment = pointers(endingAt: start), let arguments = pointers(endingAt: environment.range.lowerBound),
      word(arguments.range.lowerBound - 8) == UInt64(arguments.strings.count)
    else { return nil }
    (environmentPointers, self.environment) = environment
    (argumentPointers, self.arguments) = arguments
  }
}
