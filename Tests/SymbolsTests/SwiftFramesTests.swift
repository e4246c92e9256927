// Functions, files and lines of optimised Swift code, in a program that runs and then in what is left of it.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessImage
import Symbols
import Testing

private let here = """
  #include <stdint.h>
  uint64_t here(void) { return (uint64_t)__builtin_return_address(0); }

  """

private let source = """
  @_silgen_name("here") func here() -> UInt64
  final class Session {
    var places: [UInt64] = []
    init(id: Int) {
      places.append(here())  // in init
    }
    @inline(__always) func visit(_ body: (Int) -> UInt64) {
      places.append(body(places.count))  // in visit
    }
    @inline(never) func walk() {
      visit { _ in
        here()  // in closure
      }
    }
  }
  @inline(never) func generic<T>(_ value: T) -> T {
    session.places.append(here())  // in generic
    return value
  }
  let session = Session(id: Int(CommandLine.arguments[1])!)
  session.walk()
  _ = generic(CommandLine.argc)
  print(session.places[0], session.places[1], session.places[2])
  fflush(stdout)
  while readLine() != nil {}

  """

@Suite struct SwiftFramesTests {
  @Test(arguments: [["-O", "-g"], ["-O", "-g", "-wmo", "-dwarf-version=4"]])
  func optimisedProgram(options: [String]) throws {
    let workshop = try Workshop()
    try workshop.write(here, to: "here.c")
    try workshop.write("import Glibc\n" + source, to: "main.swift")
    let path = workshop.path("main.swift")
    try workshop.run("cc", "-O2", "-c", "here.c")
    try workshop.run(["swiftc"] + options + [path, "here.o", "-o", "program"])
    let program = try RunningProgram(workshop.path("program"), "7")
    let image = try SelfImage(processID: program.processID)
    let places = program.words.compactMap { UInt64($0).map { Address($0) } }
    try #require(places.count == 3)
    expect(Symbolizer(image: image), places, path)
    program.stop()
    expect(Symbolizer(mappings: image.mappings, processID: program.processID), places, path)
  }

  private func expect(_ symbolizer: Symbolizer, _ places: [Address], _ path: String) {
    func line(of marker: String) -> Int { SymbolsTests.line(of: "// \(marker)", in: source) + 1 }
    let initializer = symbolizer.frames(for: places[0], isReturnAddress: true)
    #expect(initializer.first?.function == "Session.init(id:)")
    #expect(initializer.first?.line == line(of: "in init"))
    #expect(initializer.allSatisfy { $0.file == path })
    let walk = symbolizer.frames(for: places[1], isReturnAddress: true)
    #expect(walk.map(\.function).prefix(2) == ["closure #1 in Session.walk()", "Session.visit(_:)"])
    #expect(walk.map(\.line).prefix(2) == [line(of: "in closure"), line(of: "in visit")])
    #expect(walk.last?.function.hasSuffix("Session.walk()") == true)
    #expect(walk.last?.inlined == false)
    let generic = symbolizer.frames(for: places[2], isReturnAddress: true)
    #expect(generic.first?.function.hasSuffix("generic<A>(_:)") == true)
    #expect(generic.first?.line == line(of: "in generic"))
  }
}
