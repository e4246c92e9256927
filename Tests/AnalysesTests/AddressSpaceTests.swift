// Regions made from mappings, modules, threads and what allocators name.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage
import Testing

@testable import Analyses

@Suite struct AddressSpaceTests {
  private func mapping(_ start: UInt64, _ end: UInt64, _ permissions: String, _ name: String = "", offset: UInt64 = 0) -> Mapping {
    Mapping(
      start: Address(start), end: Address(end), isReadable: permissions.contains("r"), isWritable: permissions.contains("w"),
      isExecutable: permissions.contains("x"), isShared: permissions.hasSuffix("s"), fileOffset: offset,
      inode: name.hasPrefix("/") ? 7 : 0, name: name)
  }

  private func shape(_ space: AddressSpace) -> [String] {
    space.regions.map {
      "\(String($0.start.rawValue, radix: 16))-\(String($0.end.rawValue, radix: 16)) \($0.kind.rawValue)\($0.name.isEmpty ? "" : " " + $0.name)"
    }
  }

  /// A program at 0x10000 as ld lays it out: headers, code, constants, and variables of which the first page becomes read-only.
  private func program() throws -> (mappings: [Mapping], modules: [LoadedModule]) {
    let mappings = [
      mapping(0x10000, 0x11000, "r--p", "/bin/p"), mapping(0x11000, 0x13000, "r-xp", "/bin/p", offset: 0x1000),
      mapping(0x13000, 0x14000, "r--p", "/bin/p", offset: 0x3000), mapping(0x14000, 0x15000, "r--p", "/bin/p", offset: 0x3000),
      mapping(0x15000, 0x16000, "rw-p", "/bin/p", offset: 0x4000), mapping(0x16000, 0x20000, "rw-p"),
    ]
    let header = elf64(segments: [
      (1, 4, 0, 0, 0x700, 0x700), (1, 5, 0x1000, 0x1000, 0x1f00, 0x1f00), (1, 4, 0x3000, 0x3000, 0x800, 0x800),
      (1, 6, 0x3800, 0x4800, 0x1100, 0x2400), (0x6474_e552, 4, 0x3800, 0x4800, 0x800, 0x800),
    ])
    let modules = LoadedModule.find(
      in: mappings,
      read: { address, buffer in
        guard address == Address(0x10000) else { return 0 }
        buffer.copyBytes(from: header)
        return header.count
      })
    return (mappings, modules)
  }

  /// A header of a position-independent file with these segments: type, flags, offset, address, file size, memory size.
  private func elf64(segments: [(UInt32, UInt32, UInt64, UInt64, UInt64, UInt64)]) -> [UInt8] {
    var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    func add<T: FixedWidthInteger>(_ value: T) { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
    add(UInt16(3)); add(UInt16(62)); add(UInt32(1)); add(UInt64(0x1000)); add(UInt64(64)); add(UInt64(0)); add(UInt32(0))
    add(UInt16(64)); add(UInt16(56)); add(UInt16(segments.count)); add(UInt16(64)); add(UInt16(0)); add(UInt16(0))
    for (type, flags, offset, address, fileSize, memorySize) in segments {
      add(type); add(flags); add(offset); add(address); add(address); add(fileSize); add(memorySize); add(UInt64(0x1000))
    }
    return bytes
  }

  @Test func aModuleIsCutAtTheBytesWhereItsVariablesEnd() throws {
    let (mappings, modules) = try program()
    #expect(modules.count == 1)
    #expect(modules.first?.bias == 0x10000)
    var facts = AddressSpaceFacts(mappings: mappings)
    facts.modules = modules
    #expect(
      shape(AddressSpace(facts)) == [
        "10000-11000 rodata /bin/p", "11000-13000 text /bin/p", "13000-14000 rodata /bin/p", "14000-15000 data /bin/p",
        "15000-15900 data /bin/p", "15900-16000 bss /bin/p", "16000-17000 bss /bin/p",
        // The kernel has merged the program's zeros with other memory.
        "17000-20000 anonymous",
      ])
  }

  @Test func aFileMappedAsDataIsNoModule() throws {
    let (mappings, _) = try program()
    let whole = [mapping(0x10000, 0x15000, "r--p", "/bin/p")]
    var header: [UInt8] = []
    _ = LoadedModule.find(in: mappings, read: { _, _ in 0 }, readFile: { _ in nil })
    header = elf64(segments: [(1, 4, 0, 0, 0x700, 0x700), (1, 5, 0x2000, 0x3000, 0x1f00, 0x1f00)])
    #expect(LoadedModule.find(in: whole, read: { _, buffer in buffer.copyBytes(from: header); return header.count }).isEmpty)
    #expect(shape(AddressSpace(AddressSpaceFacts(mappings: whole))) == ["10000-15000 file /bin/p"])
  }

  @Test func mappingsHaveKindsByThemselves() {
    let mappings = [
      mapping(0x1000, 0x2000, "rw-p", "[heap]"), mapping(0x3000, 0x4000, "rw-p"), mapping(0x4000, 0x5000, "---p"),
      mapping(0x5000, 0x6000, "rw-s", "/dev/zero"), mapping(0x6000, 0x7000, "r--s", "/etc/hosts"),
      mapping(0x7000, 0x8000, "rw-s", "/memfd:x"), mapping(0x8000, 0x9000, "rw-p", "[stack]"), mapping(0x9000, 0xa000, "r--p", "[vvar]"),
      mapping(0xa000, 0xb000, "r--p", "[vvar_vclock]"), mapping(0xb000, 0xc000, "r-xp", "[vdso]"),
      mapping(0xffff_ffff_ff60_0000, 0xffff_ffff_ff60_1000, "--xp", "[vsyscall]"),
    ]
    #expect(
      AddressSpace(AddressSpaceFacts(mappings: mappings)).regions.map(\.kind.rawValue) == [
        "heap", "anonymous", "reserved", "shared", "file", "shared", "stack", "vvar", "vvar", "vdso", "vsyscall",
      ])
  }

  @Test func theHeapEndsWhereTheZerosOfTheProgramDo() {
    var facts = AddressSpaceFacts(mappings: [mapping(0x1000, 0x9000, "rw-p", "[heap]")])
    facts.heapStart = Address(0x3000)
    facts.namedRanges = [.init(Address(0x4000)..<Address(0x4800), name: "pool"), .init(Address(0x4800)..<Address(0x5000), name: "other")]
    #expect(shape(AddressSpace(facts)).last == "5000-9000 heap [heap]")
    #expect(shape(AddressSpace(facts)).contains("4000-4800 heap pool"))
    #expect(shape(AddressSpace(facts)).contains("4800-5000 heap other"))
  }

  @Test func stacksHaveThreadsDepthsAndGuards() {
    var facts = AddressSpaceFacts(mappings: [
      mapping(0x10000, 0x11000, "---p"), mapping(0x11000, 0x19000, "rw-p"),
      mapping(0x20000, 0x21000, "---p"), mapping(0x21000, 0x31000, "rw-p"),
      mapping(0x40000, 0x50000, "rw-p"), mapping(0x7f000, 0x80000, "rw-p", "[stack]"),
    ])
    facts.threads = [
      .init(threadID: 1, name: "main", stackPointer: Address(0x7f800)),
      // Another library's thread, known by its guard alone.
      .init(threadID: 2, name: "worker", stackPointer: Address(0x18000)),
      // The block ends below other memory that the kernel has merged with it.
      .init(threadID: 3, name: "glibc", stackPointer: Address(0x28000), stackBlock: Address(0x20000)..<Address(0x29000)),
      // Neither: a stack on a heap, perhaps.
      .init(threadID: 4, name: "fiber", stackPointer: Address(0x48000)), .init(threadID: 5, name: "hidden"),
    ]
    let space = AddressSpace(facts)
    #expect(
      shape(space) == [
        "10000-11000 guard worker", "11000-19000 thread-stack worker", "20000-21000 guard glibc", "21000-29000 thread-stack glibc",
        "29000-31000 anonymous", "40000-50000 anonymous", "7f000-80000 stack [stack]",
      ])
    #expect(space.regions.map(\.usedDepth) == [nil, 0x1000, nil, 0x1000, nil, nil, 0x800])
    #expect(space.regions.map(\.threadID) == [2, 2, 3, 3, nil, nil, 1])
  }

  @Test func everyByteOfEveryMappingIsInOneRegion() throws {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      var mappings: [Mapping] = []
      var address: UInt64 = 0x1000
      for _ in 0..<20 {
        address += UInt64.random(in: 0...2, using: &random) * 0x1000
        let end = address + UInt64.random(in: 1...8, using: &random) * 0x1000
        mappings.append(mapping(address, end, ["rw-p", "---p", "r-xp"].randomElement(using: &random)!))
        address = end
      }
      var facts = AddressSpaceFacts(mappings: mappings)
      for _ in 0..<15 {
        let start = UInt64.random(in: 0..<address, using: &random)
        facts.namedRanges.append(.init(Address(start)..<Address(start + UInt64.random(in: 0..<0x9000, using: &random)), name: "r"))
      }
      let regions = AddressSpace(facts).regions
      #expect(zip(regions, regions.dropFirst()).allSatisfy { $0.end <= $1.start })
      #expect(regions.allSatisfy { $0.start < $0.end && $0.counts.size == $0.size })
      for mapping in mappings {
        let inside = regions.filter { $0.start >= mapping.start && $0.end <= mapping.end }
        #expect(inside.reduce(0) { $0 + $1.size } == mapping.size)
      }
    }
  }

  @Test func residencyIsSharedOutByTheByte() {
    var facts = AddressSpaceFacts(mappings: [mapping(0x1000, 0x4000, "rw-p", "[heap]")])
    facts.residency = Residency(runs: [PageRun(start: Address(0x1000), end: Address(0x3000), state: [.resident, .dirty])], source: .pageScan)
    facts.namedRanges = [.init(Address(0x1100)..<Address(0x2300), name: "a")]
    let space = AddressSpace(facts)
    #expect(space.regions.map(\.counts.resident) == [0x100, 0x1200, 0xd00])
    #expect(space.total.resident == 0x2000)
    #expect(space.total.untouched == 0x1000)
    #expect(space.region(containing: Address(0x22ff))?.name == "a")
    #expect(space.region(containing: Address(0x4000)) == nil)
    #expect(space.neighbours(of: Address(0x5000)).below?.end == Address(0x4000))
  }
}
