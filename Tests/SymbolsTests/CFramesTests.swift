// Functions, files and lines of C code: inlined, stripped, with debug files apart.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessImage
import Symbols
import Testing

private let source = """
  #include <stdint.h>
  __attribute__((noinline)) uint64_t here(void) { return (uint64_t)__builtin_return_address(0); }
  static inline uint64_t leaf(void) {
    return here() + 0;  // in leaf
  }
  static inline uint64_t middle(void) {
    return leaf() ^ 0;  // in middle
  }
  uint64_t outer(void) {
    uint64_t result = middle();  // in outer
    __asm__ volatile("" : "+r"(result));
    return result;
  }
  uint64_t counter[4] = {1, 2, 3, 4};
  static __attribute__((noinline, used)) uint64_t hidden(void) {
    uint64_t result = here();
    __asm__ volatile("" : "+r"(result));
    return result;
  }
  uint64_t callHidden(void) {
    uint64_t result = hidden();
    __asm__ volatile("" : "+r"(result));
    return result;
  }

  """

@Suite struct CFramesTests {
  let workshop: Workshop
  let path: String

  init() throws {
    workshop = try Workshop()
    try workshop.write(source, to: "sample.c")
    path = workshop.path("sample.c")
  }

  private func expectInlinedFrames(_ frames: [Frame], library: String) {
    #expect(frames.map(\.function) == ["leaf", "middle", "outer"])
    #expect(frames.map(\.file) == [path, path, path])
    #expect(frames.map(\.line) == ["in leaf", "in middle", "in outer"].map { line(of: "// \($0)", in: source) })
    #expect(frames.map(\.inlined) == [true, true, false])
    #expect(frames.allSatisfy { $0.module == workshop.path(library) })
  }

  @Test(arguments: [
    ["-gdwarf-5"], ["-gdwarf-4"], ["-gdwarf-5", "-gz"], ["-gdwarf-4", "-gz=zlib-gnu"], ["-gdwarf-5", "-gsplit-dwarf"],
  ])
  func inlinedCalls(options: [String]) throws {
    for compiler in ["cc", "clang"] where !(compiler == "clang" && options.contains("-gz=zlib-gnu")) {
      let name = "\(compiler).so"
      try workshop.run(["\(compiler)", "-O2", "-fPIC", "-shared"] + options + [path, "-o", name])
      let pc = try workshop.load(name).call("outer")
      let frames = Symbolizer(image: try SelfImage()).frames(for: Address(pc), isReturnAddress: true)
      expectInlinedFrames(frames, library: name)
    }
  }

  @Test(arguments: [true, false])
  func debugFileApart(byBuildID: Bool) throws {
    let id = byBuildID ? "-Wl,--build-id" : "-Wl,--build-id=none"
    try workshop.run("cc", "-O2", "-g", "-fPIC", "-shared", id, path, "-o", "full.so")
    try workshop.run("objcopy", "--only-keep-debug", "full.so", "apart.debug")
    try workshop.run("objcopy", "--strip-all", "--add-gnu-debuglink=apart.debug", "full.so", "apart.so")
    let library = try workshop.load("apart.so")
    let symbolizer = Symbolizer(image: try SelfImage())
    expectInlinedFrames(
      symbolizer.frames(for: Address(try library.call("outer")), isReturnAddress: true), library: "apart.so")
    let hidden = symbolizer.frames(for: Address(try library.call("callHidden")), isReturnAddress: true)
    #expect(hidden.map(\.function) == ["hidden"])
    let start = try #require(symbolizer.address(ofSymbol: "hidden", inModule: "apart.so"))
    #expect(symbolizer.symbol(containing: start + 1)?.name == "hidden")
  }

  @Test func aDebugFileOfAnotherBuildIsPassedOver() throws {
    try workshop.run("cc", "-O2", "-g", "-fPIC", "-shared", path, "-o", "full.so")
    try workshop.run("objcopy", "--only-keep-debug", "full.so", "apart.debug")
    try workshop.run("objcopy", "--strip-all", "--add-gnu-debuglink=apart.debug", "full.so", "stale.so")
    try workshop.run("cc", "-O1", "-g", "-DOTHER", "-fPIC", "-shared", path, "-o", "other.so")
    try workshop.run("objcopy", "--only-keep-debug", "other.so", "apart.debug")
    let pc = try workshop.load("stale.so").call("outer")
    let frames = Symbolizer(image: try SelfImage()).frames(for: Address(pc), isReturnAddress: true)
    #expect(frames.map(\.function) == ["outer"])
    #expect(frames.map(\.line) == [nil])
  }

  @Test func exportedSymbolsRemainInAStrippedFile() throws {
    try workshop.run("cc", "-O2", "-s", "-fPIC", "-shared", path, "-o", "stripped.so")
    let library = try workshop.load("stripped.so")
    let symbolizer = Symbolizer(image: try SelfImage())
    let pc = Address(try library.call("outer"))
    let frames = symbolizer.frames(for: pc, isReturnAddress: true)
    #expect(frames.map(\.function) == ["outer"])
    #expect(frames.first?.offset == pc - Address(try library.address("outer")))
    let hidden = Address(try library.call("callHidden"))
    let unnamed = symbolizer.frames(for: hidden, isReturnAddress: true)
    let exported = try workshop.run("nm", "-D", "stripped.so").split(separator: "\n").first { $0.hasSuffix(" outer") }
    let outer = try #require(exported.flatMap { UInt64($0.split(separator: " ")[0], radix: 16) })
    let start = try library.address("outer") - outer
    #expect(unnamed.map(\.function) == ["stripped.so+\(hidden - 1 - start)"])
    #expect(symbolizer.modulePath(containing: hidden) == workshop.path("stripped.so"))
    #expect(unnamed.map(\.rawName) == [""])
  }

  @Test func dataSymbolsAndNames() throws {
    try workshop.run("cc", "-O2", "-fPIC", "-shared", path, "-o", "data.so")
    let library = try workshop.load("data.so")
    let symbolizer = Symbolizer(image: try SelfImage())
    let counter = Address(try library.address("counter"))
    #expect(symbolizer.address(ofSymbol: "counter", inModule: "data.so") == counter)
    #expect(symbolizer.address(ofSymbol: "counter", inModule: "elsewhere.so") == nil)
    #expect(symbolizer.address(ofSymbol: "no_such_symbol") == nil)
    let hidden = try #require(symbolizer.address(ofSymbol: "hidden", inModule: workshop.path("data.so")))
    #expect(symbolizer.symbol(containing: hidden + 1)?.name == "hidden")
    let found = try #require(symbolizer.symbol(containing: counter + 12))
    #expect(found == SymbolLocation(name: "counter", rawName: "counter", offset: 12, module: workshop.path("data.so")))
    #expect(symbolizer.symbol(containing: counter + 32)?.name != "counter")
    let malloc = Address(UInt64(UInt(bitPattern: dlsym(nil, "malloc"))))
    #expect(symbolizer.symbol(containing: malloc)?.name == "malloc")
  }

  @Test func theKernelsLibrary() throws {
    let symbolizer = Symbolizer(image: try SelfImage())
    let time = try #require(symbolizer.address(ofSymbol: "__vdso_time", inModule: "[vdso]"))
    #expect(symbolizer.symbol(containing: time)?.module == "[vdso]")
    #expect(symbolizer.frames(for: time, isReturnAddress: false).map(\.function) == ["time"])
  }

  @Test(arguments: [false, true])
  func aProgramWhoseFileIsGone(isReplaced: Bool) throws {
    try workshop.write(
      """
      #include <stdio.h>
      unsigned long outer(void);
      int main() { printf("%lu\\n", outer()); fflush(stdout); return getchar() == 0; }

      """, to: "main.c")
    try workshop.run("cc", "-O2", "-g", "main.c", path, "-o", "program")
    let program = try RunningProgram(workshop.path("program"))
    defer { program.stop() }
    let pc = Address(try #require(program.words.first.flatMap { UInt64($0) }))
    try FileManager.default.removeItem(atPath: workshop.path("program"))
    if isReplaced { try workshop.run("cc", "-O1", "-g", path, "main.c", "-o", "program") }
    let image = try SelfImage(processID: program.processID)
    let frames = Symbolizer(image: image).frames(for: pc, isReturnAddress: true)
    #expect(frames.map(\.function) == ["leaf", "middle", "outer"])
    #expect(frames.map(\.line) == ["in leaf", "in middle", "in outer"].map { line(of: "// \($0)", in: source) })
    // Without the process the file that took the place must not pass for the one that ran.
    let late = Symbolizer(mappings: image.mappings, processID: 0).frames(for: pc, isReturnAddress: true)
    #expect(late.allSatisfy { $0.line == nil && $0.rawName.isEmpty })
  }

  @Test func addressesInNothing() throws {
    let symbolizer = Symbolizer(image: try SelfImage())
    for address in [0, 1, 0xfff, UInt64.max, 1 << 63].map(Address.init) {
      let frames = symbolizer.frames(for: address, isReturnAddress: false)
      #expect(frames == [Frame(function: address.description)])
      #expect(symbolizer.symbol(containing: address) == nil)
    }
  }
}
