// The strings and vectors at the top of the main stack are found as execve(2) lays them out.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage
import Support
import Testing

@Suite struct ProgramStartTests {
  static let top = Address(0x7fff_f001_0000)
  let image: BuiltImage
  let arguments: [Address]
  let environment: [Address]
  let vector: Address

  /// Builds the top of a stack from its end down.
  init() {
    let image = BuiltImage()
    self.image = image
    image.map(Self.top.rawValue - 65536, size: 65536, name: "[stack]")
    var position = Self.top - 8
    func put(_ text: String) -> Address {
      position = position - UInt64(text.utf8.count + 1)
      for (index, byte) in text.utf8.enumerated() { image.write(byte, at: position + UInt64(index)) }
      return position
    }
    let name = put("/usr/bin/built")
    let environment = ["A=1", "HOME=/root"].map(put)
    let arguments = ["built", "", "--port"].map(put)
    (self.environment, self.arguments) = (environment, arguments)
    let auxiliary: [UInt64] = [3, 0x5555_0000_0040, 25, position.rawValue - 16, 31, name.rawValue, 0, 0]
    let words =
      [UInt64(arguments.count)] + arguments.map(\.rawValue) + [0] + environment.map(\.rawValue) + [0] + auxiliary
    let start = Address((position.rawValue - 64 - UInt64(words.count) * 8) & ~15)
    image.write(words: words, at: start)
    vector = start + UInt64(words.count - auxiliary.count) * 8
  }

  @Test func allPartsAreFound() throws {
    let start = try #require(ProgramStart(image))
    #expect(start.arguments == arguments)
    #expect(start.environment == environment)
    #expect(start.auxiliaryVector == vector..<vector + 64)
    #expect(start.environmentPointers.upperBound == vector)
    #expect(start.argumentPointers.upperBound == start.environmentPointers.lowerBound)
    #expect(image.string(start.executableName.lowerBound) == "/usr/bin/built")
  }

  @Test func aProgramMayHaveOverwrittenItsStrings() throws {
    image.write(UInt32(0), at: environment[0])
    #expect(try #require(ProgramStart(image)).environment == environment)
  }

  @Test func damageIsNoCrash() {
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<300 {
      for _ in 0..<3 {
        let address = Self.top - UInt64.random(in: 1...400, using: &generator)
        image.write(UInt8.random(in: 0...255, using: &generator), at: address)
      }
      if let start = ProgramStart(image) { #expect(start.auxiliaryVector.upperBound <= Self.top) }
    }
  }

  @Test func withoutAStackThereIsNone() { #expect(ProgramStart(BuiltImage()) == nil) }
}
