// What /proc tells of this very process, and what lies at the top of its stack.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ProcessImage

@Suite struct ProcessFactsTests {
  @Test func knowsThisProcess() throws {
    let facts = try ProcessFacts(process: getpid())
    #expect(facts.processID == getpid())
    #expect(facts.threads.first?.threadID == getpid())
    #expect(facts.executable.hasPrefix("/"))
    let vector = try #require(facts.auxiliaryVector)
    #expect(vector.wordSize == 8)
    #expect(vector.entry.map { $0.rawValue } == vector[9])
    #expect(vector.vdso != nil)
  }

  @Test func findsWhatTheKernelPutOnTheStack() throws {
    let facts = try ProcessFacts(process: getpid())
    let vector = try #require(facts.auxiliaryVector)
    let stack = InitialStack(vector, mappings: try facts.readMappings(), read: { facts.readMemory($0, into: $1) })
    // The kernel's own figures.
    #expect(stack.arguments == facts.arguments)
    #expect(stack.environment == facts.environment)
    let range = try #require(stack.auxiliaryVector)
    let raw = try #require(ProcFiles.read("/proc/self/auxv"))
    #expect(range.upperBound - range.lowerBound == UInt64(raw.count))
    #expect(stack.pointers?.upperBound == range.lowerBound)
  }

  @Test func findsTheModulesOfThisProcess() throws {
    let facts = try ProcessFacts(process: getpid())
    let mappings = try facts.readMappings()
    let modules = LoadedModule.find(in: mappings, read: { facts.readMemory($0, into: $1) })
    let libc = try #require(modules.first { $0.path.hasSuffix("/libc.so.6") })
    #expect(libc.segments.contains { $0.isExecutable })
    #expect(libc.relocatedReadOnly != nil)
    #expect(modules.contains { $0.path == facts.executable })
    // Where memory may not be read the files say the same. Other tests map files of their own meanwhile.
    let byFile = LoadedModule.find(in: mappings, read: { _, _ in 0 }, readFile: { ProcFiles.read($0.name, limit: 4096) })
    func ofTheSystem(_ modules: [LoadedModule]) -> [String] { modules.map(\.path).filter { $0.hasPrefix("/usr/lib/") } }
    #expect(ofTheSystem(byFile) == ofTheSystem(modules))
  }

  @Test func damagedHeadersAreRefused() {
    let whole = ProcFiles.read("/proc/self/exe", limit: 4096) ?? []
    #expect(ELFSegments(whole) != nil)
    for count in 0..<min(whole.count, 700) { _ = ELFSegments(Array(whole[..<count])) }
    #expect(ELFSegments(Array(whole[..<100])) == nil)
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      var bytes = whole
      for _ in 0..<4 { bytes[Int.random(in: 0..<700, using: &random)] = UInt8.random(in: 0...255, using: &random) }
      if let header = ELFSegments(bytes) { #expect(header.loaded.allSatisfy { $0.fileSize <= $0.memorySize }) }
    }
  }

  @Test func damagedVectorsAreRefused() {
    #expect(AuxiliaryVector([]) == nil)
    #expect(AuxiliaryVector([UInt8](repeating: 0xff, count: 15)) == nil)
    #expect(AuxiliaryVector([UInt8](repeating: 0, count: 64)) == nil)
  }
}
