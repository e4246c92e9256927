// Core files that are put together here, whole and damaged.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Foundation
import Testing

@testable import ProcessImage

@Suite struct CoreFileTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func open(_ builder: CoreBuilder) throws -> CoreFile { try CoreFile(path: try folder.file("core", builder.bytes)) }

  private func pages(_ count: Int, of byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: count * 4096) }

  /// Two threads, one of them with vector registers, and a stack.
  private var builder: CoreBuilder {
    var extended = [UInt8](repeating: 0, count: 832)
    extended.replaceSubrange(160..<168, with: little(UInt64(0x5566)))
    extended.replaceSubrange(576..<584, with: little(UInt64(0x7788)))
    var result = CoreBuilder()
    result.addThread(12, stack: 0x7000_0000_1000, signal: 11, extended: extended)
    result.addProgram(11, name: "built")
    result.addAuxiliaryVector([(UInt64(AT_EXECFN), 0x7000_0000_2ff0), (UInt64(AT_PHDR), 0x400040)])
    result.addThread(11, stack: 0x7000_0000_2000)
    result.segments.append(.init(start: 0x7000_0000_0000, memorySize: 0x3000, contents: pages(3, of: 1)))
    return result
  }

  @Test func tellsThreadsAndMappings() throws {
    let core = try open(builder)
    #expect(core.notes == [])
    #expect(core.threads.map(\.threadID) == [11, 12])
    #expect(core.threads.map(\.name) == ["built", ""])
    #expect(core.threads[1].stackPointer == Address(0x7000_0000_1000))
    #expect(core.threads[1].threadPointer == Address(0x7000))
    #expect(Set([0x1122_3344, 0x5566, 0x7788]).isSubset(of: core.threads[1].registerWords))
    #expect(core.signal == 11)
    #expect(core.processID == 0)
    #expect(core.recordedProcessID == 11)
    #expect(core.executable == "built")
    #expect(core.mappings.map(\.name) == ["[stack]"])
    #expect(core.mappings[0].isWritable && core.mappings[0].isReadable && !core.mappings[0].isExecutable)
  }

  @Test func readsUntouchedMemoryAsZeros() throws {
    var built = builder
    built.segments.append(.init(start: 0x10000, memorySize: 0x4000, contents: pages(1, of: 7)))
    built.segments.append(.init(start: 0x20000, memorySize: 0x1000, flags: 0))
    let core = try open(built)
    #expect(core.bytes(Address(0x10ff0), count: 32) == Array(repeating: 7, count: 16) + Array(repeating: 0, count: 16))
    #expect(core.bytes(Address(0x13fff), count: 2) == [0])
    #expect(core.bytes(Address(0x20000), count: 1) == [])
    #expect(core.bytes(Address(0xfff0), count: 32) == [])
    #expect(core.touchedRanges(in: Address(0x10000)..<Address(0x14000)) == [Address(0x10000)..<Address(0x11000)])
  }

  @Test func readsWhatFilesHold() throws {
    let data = try folder.file("data", pages(2, of: 9) + [1, 2, 3])
    var built = builder
    built.segments.append(.init(start: 0x10000, memorySize: 0x4000, flags: UInt32(PF_R)))
    built.addFiles([(0x10000, 0x14000, 1, data)])
    let core = try open(built)
    #expect(core.notes == [])
    #expect(core.bytes(Address(0x10ffe), count: 6) == [9, 9, 1, 2, 3, 0])
    // The last page ends in zeros; there is nothing behind it.
    #expect(core.bytes(Address(0x11fff), count: 2) == [0])
    let mapping = try #require(core.mapping(containing: Address(0x10000)))
    #expect(mapping.name == data && mapping.fileOffset == 4096 && mapping.inode != 0)
  }

  @Test func doesNotReadFilesThatHaveChanged() throws {
    let data = try folder.file("data", pages(2, of: 9))
    var built = builder
    built.segments.append(.init(start: 0x10000, memorySize: 0x2000, flags: UInt32(PF_R)))
    built.segments.append(.init(start: 0x20000, memorySize: 0x2000, flags: UInt32(PF_R)))
    built.segments.append(.init(start: 0x30000, memorySize: 0x2000, flags: UInt32(PF_R)))
    built.addFiles([(0x10000, 0x12000, 0, data), (0x20000, 0x22000, 0, folder.path + "/gone"), (0x30000, 0x32000, 0, data + " (deleted)")])
    let path = try folder.file("core", built.bytes)
    try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: 10)], ofItemAtPath: data)
    let core = try CoreFile(path: path)
    for address: UInt64 in [0x10000, 0x20000, 0x30000] { #expect(core.bytes(Address(address), count: 1) == []) }
    let note = try #require(core.notes.first)
    #expect(core.notes.count == 1)
    #expect(note.contains("\(data) (8.0 KiB) has changed since"))
    #expect(note.contains("/gone (8.0 KiB) is not there"))
    #expect(note.contains("\(data) (8.0 KiB) was deleted"))
  }

  @Test func knowsAProgramByItsFirstPage() throws {
    let cat = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "/bin/cat")))
    var changed = cat
    changed[100] ^= 1
    let copy = try folder.file("cat", cat)
    for (start, isSame) in [(cat, true), (changed, false)] {
      var built = builder
      built.segments.append(.init(start: 0x400000, memorySize: 0x4000, contents: Array(start[..<4096]), flags: UInt32(PF_R)))
      built.addFiles([(0x400000, 0x404000, 0, copy)])
      // Later than the core, as after a copy: that does not matter for a program.
      let path = try folder.file("core", built.bytes)
      try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: 10)], ofItemAtPath: copy)
      let core = try CoreFile(path: path)
      #expect(core.executable == copy)
      #expect(core.bytes(Address(0x401000), count: 64) == (isSame ? Array(cat[4096..<4160]) : []))
      #expect(core.notes.isEmpty == isSame)
    }
  }

  @Test func findsMappingsThatHaveNoSegment() throws {
    let cat = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "/bin/cat")))
    var built = builder
    built.addFiles([(0x400000, 0x402000, 0, "/bin/cat"), (0x402000, 0x404000, 2, "/bin/cat")])
    let core = try open(built)
    #expect(core.bytes(Address(0x402000), count: 64) == Array(cat[8192..<8256]))
    // The program's headers say that code begins at its third page.
    #expect(core.mapping(containing: Address(0x402000))?.isExecutable == true)
    #expect(core.mapping(containing: Address(0x400000))?.isExecutable == false)
  }

  @Test func acceptsMoreSegmentsThanTheHeaderCanCount() throws {
    var built = builder
    built.usesLongCount = true
    for index in 0..<66_000 { built.segments.append(.init(start: 0x1000_0000 + UInt64(index) * 0x2000, memorySize: 0x1000)) }
    let core = try open(built)
    #expect(core.mappings.count == 66_001)
    #expect(core.notes == [])
  }

  @Test func saysWhatATruncatedFileLacks() throws {
    var built = builder
    built.segments.append(.init(start: 0x10000, memorySize: 0x4000, contents: pages(4, of: 7)))
    let whole = built.bytes
    let cut = try CoreFile(path: try folder.file("cut", Array(whole[..<(whole.count - 4096 * 2)])))
    #expect(cut.notes.count == 1 && cut.notes[0].contains("truncated: 8.0 KiB of"))
    #expect(cut.bytes(Address(0x11ff0), count: 32) == Array(repeating: 7, count: 16))
    #expect(cut.threads.count == 2)
    // Beyond the end of the file memory is unknown, not zero.
    #expect(cut.touchedRanges(in: Address(0x10000)..<Address(0x14000)).last?.upperBound == Address(0x14000))
    let headersOnly = try CoreFile(path: try folder.file("headers", Array(whole[..<(64 + 3 * 56)])))
    #expect(headersOnly.threads.isEmpty)
    #expect(headersOnly.notes.contains { $0.contains("names no threads") })
    let oneHeader = try CoreFile(path: try folder.file("one", Array(whole[..<(64 + 2 * 56)])))
    #expect(oneHeader.mappings.count == 1)
    #expect(oneHeader.notes.contains { $0.contains("1 parts of it are unknown") })
  }

  @Test func leavesOutWhatCannotBe() throws {
    var built = builder
    built.segments.append(.init(start: 0x7000_0000_1000, memorySize: 0x1000, contents: pages(1, of: 7)))
    built.segments.append(.init(start: 0x7fff_ffff_f000, memorySize: 0x2000))
    built.segments.append(.init(start: .max - 4095, memorySize: 0x2000))
    built.segments.append(.init(start: 0x30001, memorySize: 0x1000))
    let core = try open(built)
    #expect(core.mappings.count == 1)
    #expect(core.notes.count == 1 && core.notes[0].contains("4 parts of its memory"))
  }

  @Test func setsVastMemoryApartThatIsNotThere() throws {
    var built = builder
    built.segments.append(.init(start: 0x1000_0000_0000, memorySize: 1 << 45, flags: UInt32(PF_R)))
    built.addFiles([(0x1000_0000_0000, 0x1000_0000_0000 + 1 << 45, 0, "/bin/cat")])
    let core = try open(built)
    let readable = core.mappings.filter { $0.isReadable && $0.name == "/bin/cat" }
    #expect(readable.count == 1 && readable[0].size < 1 << 20)
    #expect(core.bytes(readable[0].start, count: 4) == [0x7f, 0x45, 0x4c, 0x46])
  }

  @Test func refusesOtherFiles() throws {
    func expect(_ error: CoreError, _ path: String) { #expect(throws: error) { try CoreFile(path: path) } }
    func changed(_ name: String, _ change: (inout CoreBuilder) -> Void) throws -> String {
      var built = builder
      change(&built)
      return try folder.file(name, built.bytes)
    }
    expect(.notFound("/no/such"), "/no/such")
    expect(.isDirectory(folder.path), folder.path)
    expect(.notRegular("/dev/null"), "/dev/null")
    let empty = try folder.file("empty", [])
    expect(.isEmpty(empty), empty)
    let text = try folder.file("text", Array("a text that is longer than an ELF header is, by some letters more".utf8))
    expect(.notCore(text), text)
    expect(.isProgram("/bin/cat"), "/bin/cat")
    let object = try changed("object") { $0.type = UInt16(ET_REL) }
    expect(.isObjectFile(object), object)
    let small = try changed("small") { $0.fileClass = UInt8(ELFCLASS32) }
    expect(.is32Bit(small), small)
    let arm = try changed("arm") { $0.machine = UInt16(EM_AARCH64) }
    expect(.otherArchitecture(arm, machine: UInt16(EM_AARCH64)), arm)
    let none = try changed("none") { $0.countedHeaders = 0 }
    expect(.isDamaged(none, reason: "it holds no memory"), none)
    let cut = try folder.file("cut", Array(builder.bytes[..<64]))
    expect(.isDamaged(cut, reason: "it ends before its program headers"), cut)
    let zipped = try folder.file("zipped", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0])
    expect(.isCompressed(zipped, format: "gzip"), zipped)
    let broken = try folder.file("broken", [0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff, 0xff])
    expect(.notDecompressed(broken, reason: "it is damaged or cut off"), broken)
  }

  @Test(arguments: [1 << 18, (1 << 18) + 4096, 1 << 20]) func decompresses(size: Int) throws {
    var built = builder
    let rest = size - built.bytes.count - 4096
    // Alternately zeros and not: the zeros become holes.
    built.segments.append(
      .init(start: 0x10000, memorySize: UInt64(rest), contents: (0..<rest).map { UInt8(truncatingIfNeeded: ($0 >> 13 & 1) * $0) }))
    let bytes = built.bytes
    #expect(bytes.count >= size - 4096 && bytes.count <= size)
    let path = folder.path + "/compressed"
    let output = try CoreOutput(path: path, compress: true)
    try output.append(bytes + [UInt8](repeating: 0, count: size - bytes.count))
    #expect(try output.finish() < size)
    let core = try CoreFile(path: path)
    #expect(core.notes == [])
    #expect(core.bytes(Address(0x10000), count: rest) == built.segments[1].contents)
    #expect(core.touchedRanges(in: Address(0x10000)..<Address(0x10000 + UInt64(rest))).count > 1)
  }

  @Test func saysItInOneSentence() {
    let errors: [CoreError] = [
      .notFound("x"), .isDirectory("x"), .notRegular("x"), .unreadable("x", code: 13), .isEmpty("x"), .notCore("x"), .isProgram("x"),
      .isObjectFile("x"), .is32Bit("x"), .otherArchitecture("x", machine: 183), .isCompressed("x", format: "xz"),
      .notDecompressed("x", reason: "y"), .isDamaged("x", reason: "y"),
    ]
    for error in errors { #expect(error.description.hasSuffix(".") && !error.description.contains("\n")) }
  }

  @Test(arguments: 0..<300) func survivesDamage(seed: UInt64) throws {
    var random = Noise(state: seed)
    var built = builder
    built.segments.append(.init(start: 0x400000, memorySize: 0x4000, flags: UInt32(PF_R | PF_X)))
    built.segments.append(.init(start: 0x500000, memorySize: 0x8000, contents: pages(2, of: 3)))
    built.addFiles([(0x400000, 0x404000, 0, "/bin/cat"), (0x600000, 0x602000, 1, "/bin/cat")])
    var bytes = built.bytes
    let headers = 64 + 5 * 56 + built.notes.count
    for _ in 0..<random.next(8) + 1 {
      let place = random.next(headers)
      switch random.next(3) {
      case 0: bytes[place] ^= 1 << UInt8(random.next(8))
      case 1: bytes[place] = [0, 1, 0x7f, 0x80, 0xff][random.next(5)]
      default: for offset in 0..<8 where place + offset < bytes.count { bytes[place + offset] = UInt8(random.next(256)) }
      }
    }
    if random.next(4) == 0 { bytes.removeLast(random.next(bytes.count)) }
    guard let core = try? CoreFile(path: try folder.file("core", bytes)) else { return }
    var end = Address(0)
    for mapping in core.mappings {
      #expect(mapping.start >= end && mapping.start < mapping.end)
      end = mapping.end
      guard mapping.isReadable else { continue }
      _ = core.touchedRanges(in: mapping.start..<mapping.end)
      _ = core.bytes(mapping.start, count: 1 << 16)
      _ = core.bytes(mapping.end - 4096, count: 8192)
    }
  }
}

/// Numbers that depend on the seed alone (SplitMix64).
private struct Noise {
  var state: UInt64
  mutating func next(_ limit: Int) -> Int {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return Int((z ^ (z >> 31)) % UInt64(limit))
  }
}
