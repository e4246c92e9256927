// Fixed results whose reports are known to the letter.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage

enum Fixtures {
  static let target = Target(processID: 4242, executable: "/srv/bin/chatserver", allocator: .mallow)

  static func frame(_ function: String, _ file: String, _ line: Int, inlined: Bool = false) -> StackFrame {
    StackFrame(function: function, file: "/src/chat/\(file)", line: line, module: "/srv/bin/chatserver", inlined: inlined)
  }

  static let malloc = StackFrame(function: "malloc", module: "/usr/lib/libmallow.so")
  static let start = [
    frame("main", "main.swift", 3),
    StackFrame(function: "__libc_start_call_main", module: "/lib/x86_64-linux-gnu/libc.so.6"),
    StackFrame(function: "_start", module: "/srv/bin/chatserver"),
  ]

  static func stack(_ frames: StackFrame...) -> [StackFrame] { [malloc] + frames + start }

  static let sessionStack = stack(
    StackFrame(function: "swift_allocObject", module: "/usr/lib/libswiftCore.so"),
    frame("Session.__allocating_init(user:)", "Session.swift", 12), frame("Server.accept(_:)", "Server.swift", 88))
  static let handlerStack = stack(
    frame("Handler.__allocating_init(session:)", "Handler.swift", 31, inlined: true),
    frame("Session.start()", "Session.swift", 40), frame("Server.accept(_:)", "Server.swift", 90))
  static let bufferStack = stack(
    StackFrame(function: "operator new(unsigned long)", module: "/lib/libstdc++.so.6"),
    frame(
      "std::map<std::string, std::vector<unsigned char>, std::less<std::string> >::operator[](std::string const&)", "map.cpp", 1180),
    frame("Cache::remember(Request const&)", "cache.cpp", 77))

  static let leaks = LeakReport(
    leaks: BlockCount(blocks: 1225, bytes: 15_774_496),
    groups: [
      LeakGroup(
        kind: .definite, count: BlockCount(blocks: 3, bytes: 15_728_640), blockSize: 5_242_880,
        addresses: [Address(0x7f00_0401_0000), Address(0x7f00_0801_0000), Address(0x7f00_0c01_0000)], stackID: StackID(9),
        stack: bufferStack),
      LeakGroup(kind: .indirect, count: BlockCount(blocks: 1021, bytes: 36_960), addresses: [Address(0x7f00_0001_0020)]),
      LeakGroup(
        kind: .cycle, count: BlockCount(blocks: 100, bytes: 4800), type: "Handler", blockSize: 48,
        cycle: "Session ⇄ Handler", cycles: 100, stack: handlerStack),
      LeakGroup(
        kind: .cycle, count: BlockCount(blocks: 100, bytes: 4000), type: "Session", blockSize: 40,
        cycle: "Session ⇄ Handler", cycles: 100, stack: sessionStack),
      LeakGroup(
        kind: .definite, count: BlockCount(blocks: 1, bytes: 96), type: "Node", blockSize: 96,
        held: BlockCount(blocks: 1021, bytes: 36_960)),
    ], suppressed: BlockCount(blocks: 2, bytes: 512), scannedBytes: 1_181_116_006, scannedMilliseconds: 812.3456)

  static var run: RunSummary {
    var heap = HeapStatistics()
    heap.live = BlockCount(blocks: 23_412, bytes: 1_148_846_080)
    heap.free = BlockCount(blocks: 900, bytes: 12_582_912)
    heap.freeInUsedPages = 9_542_000
    heap.emptyPageBytes = 3_040_912
    heap.retained = 3_145_728
    heap.allocations = 1_234_567
    heap.frees = 1_211_155
    return RunSummary(
      target: target, exit: .code(0), wallSeconds: 62.4, processorSeconds: 12.34, peakResident: 4_402_341_478,
      resident: 1_288_490_189, heap: heap, profile: .full, leaks: leaks, sites: sites)
  }

  /// A run that was killed, with little to tell.
  static var killed: RunSummary {
    var run = RunSummary(
      target: Target(processID: 7, executable: "/bin/worker", allocator: .mallow), exit: .signal(11), wallSeconds: 0.421,
      peakResident: 9_626_000, profile: .sampled, sampleInterval: 524_288,
      sites: Sites(
        largest: [
          Site(
            stack: [malloc, frame("load", "load.c", 5)], live: BlockCount(blocks: 3, bytes: 3000),
            total: BlockCount(blocks: 3, bytes: 3000))
        ], count: 1, live: BlockCount(blocks: 3, bytes: 3000)))
    run.notes = ["Leaks were not searched for, since the program was killed before its memory could be looked at."]
    return run
  }

  /// Nothing to complain about.
  static var clean: RunSummary {
    var heap = HeapStatistics()
    heap.live = BlockCount(blocks: 1, bytes: 48)
    heap.allocations = 2
    heap.frees = 1
    return RunSummary(
      target: Target(processID: 7, executable: "/bin/true", allocator: .mallow), exit: .code(1), wallSeconds: 0.004,
      peakResident: 2_097_152, resident: 2_097_152, heap: heap, profile: .off, leaks: LeakReport())
  }

  static let leaksSummary = LeaksSummary(
    target: target, leaks: leaks, profile: .full, pauseMilliseconds: 21.4567,
    notes: ["Its stacks are those of the program before it was replaced."])

  static let sites = Sites(
    largest: [
      Site(
        stack: bufferStack, live: BlockCount(blocks: 12_001, bytes: 734_003_200),
        total: BlockCount(blocks: 50_000, bytes: 3_000_000_000), peakBytes: 900_000_000, temporaryBlocks: 17),
      Site(
        stack: sessionStack, live: BlockCount(blocks: 9000, bytes: 209_715_200),
        total: BlockCount(blocks: 9000, bytes: 209_715_200)),
      Site(
        stack: handlerStack, live: BlockCount(blocks: 100, bytes: 4800), total: BlockCount(blocks: 100, bytes: 4800)),
    ], count: 214, live: BlockCount(blocks: 23_412, bytes: 1_148_846_080))
}
