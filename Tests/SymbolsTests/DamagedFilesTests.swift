// Files that are cut off or overwritten must not bring the reader down.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessImage
import Symbols
import Testing

private let source = """
  #include <map>
  #include <string>
  static std::map<std::string, int> rows;
  extern "C" int add(const char *key) { return ++rows[key]; }

  """

/// SplitMix64: the same damage in each run.
private struct Generator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

@Suite struct DamagedFilesTests {
  @Test(arguments: ["-gdwarf-4", "-gdwarf-5"])
  func randomDamage(version: String) throws {
    let workshop = try Workshop()
    try workshop.write(source, to: "sample.cpp")
    try workshop.run("c++", "-O2", version, "-fPIC", "-shared", workshop.path("sample.cpp"), "-o", "sample.so")
    let base: UInt64 = 1 << 24
    let mappings = try workshop.mappings(ofLibrary: "sample.so", at: base)
    let addresses = try workshop.codeAddresses(ofLibrary: "sample.so", count: 20)
    let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: workshop.path("sample.so"))))
    var answers = 0
    for seed in 0..<100 {
      var generator = Generator(state: UInt64(seed))
      var bytes = whole
      if seed % 10 == 0 { bytes.removeLast(Int.random(in: 1..<bytes.count, using: &generator)) }
      // A quarter of them are damaged in the headers, where a byte does most.
      for _ in 0..<Int.random(in: 1...100, using: &generator) where !bytes.isEmpty {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        bytes[seed % 4 == 0 ? place % min(1024, bytes.count) : place] = UInt8.random(in: 0...255, using: &generator)
      }
      try Data(bytes).write(to: URL(fileURLWithPath: workshop.path("sample.so")))
      let symbolizer = Symbolizer(mappings: mappings, processID: 0)
      for address in addresses {
        let frames = symbolizer.frames(for: Address(base + address), isReturnAddress: false)
        #expect(!frames.isEmpty)
        answers += frames.contains { $0.line != nil } ? 1 : 0
        _ = symbolizer.symbol(containing: Address(base + address))
      }
      _ = symbolizer.address(ofSymbol: "no_such_symbol")
    }
    // Most damage hits elsewhere.
    #expect(answers > 100)
  }
}
