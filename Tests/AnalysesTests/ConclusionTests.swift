// The sentences that a report ends with, and the words for quantities.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Testing

@Suite struct ConclusionTests {
  let target = Target(processID: 7, executable: "/usr/bin/server", allocator: .mallow)

  func run(_ leaks: LeakReport?, profile: MallowHeap.Profile = .full, _ change: (inout RunSummary) -> Void = { _ in }) -> [String] {
    var run = RunSummary(target: target, exit: .code(0), wallSeconds: 1, profile: profile, leaks: leaks)
    change(&run)
    return conclusion(for: run)
  }

  func stack(_ function: String, _ file: String?, _ line: Int?) -> [StackFrame] {
    [
      StackFrame(function: "malloc", module: "/usr/lib/libmallow.so"),
      StackFrame(function: function, file: file, line: line, module: "/usr/bin/server"),
      StackFrame(function: "main", file: "/src/main.c", line: 3, module: "/usr/bin/server"),
    ]
  }

  @Test func nothingLost() {
    #expect(run(LeakReport()) == ["Nothing leaked."])
    #expect(run(LeakReport(suppressed: BlockCount(blocks: 1, bytes: 8))) == ["Nothing leaked but what is suppressed."])
    #expect(run(nil) == ["Leaks were not searched for."])
  }

  @Test func crashesComeFirst() {
    #expect(run(nil) { $0.exit = .signal(11) }.first?.contains("MALLOW_HARDEN=1") == true)
    let killed = run(nil) { $0.exit = .signal(9); $0.peakResident = 3 << 30 }
    #expect(killed == ["The program was killed with SIGKILL, as the kernel does when memory runs out. It had 3.0 GiB at its peak."])
    #expect(run(LeakReport()) { $0.exit = .signal(15) } == ["Nothing leaked."])
  }

  @Test func lostBlocksNameTheirPlace() {
    let count = BlockCount(blocks: 3, bytes: 15 << 20)
    let group = LeakGroup(kind: .definite, count: count, stack: stack("lose", "/src/leak_large.c", 4))
    #expect(
      run(LeakReport(leaks: count, groups: [group]))
        == ["3 blocks (15.0 MiB) were lost, all from lose() at leak_large.c:4: free them."])
  }

  @Test func blocksThatTakeOthersAlong() {
    let group = LeakGroup(
      kind: .definite, count: BlockCount(blocks: 1, bytes: 32), stack: stack("grow", nil, nil),
      held: BlockCount(blocks: 2, bytes: 64))
    let rest = LeakGroup(kind: .indirect, count: BlockCount(blocks: 2, bytes: 64))
    #expect(
      run(LeakReport(leaks: BlockCount(blocks: 3, bytes: 96), groups: [rest, group]))
        == ["3 blocks (96 bytes) were lost, all from main() at main.c:3: free it with all that hangs on it."])
  }

  @Test func theLargestOfSeveral() {
    let groups = [
      LeakGroup(kind: .definite, count: BlockCount(blocks: 1, bytes: 3000), stack: stack("a", "/src/a.c", 1)),
      LeakGroup(kind: .definite, count: BlockCount(blocks: 1, bytes: 1000), stack: stack("b", "/src/b.c", 1)),
    ]
    #expect(
      run(LeakReport(leaks: BlockCount(blocks: 2, bytes: 4000), groups: groups))
        == ["2 blocks (3.9 KiB) were lost, 75% of the bytes from a() at a.c:1: free them."])
  }

  @Test func cyclesAskForAWeakReference() {
    let groups = ["Session", "Handler"].map {
      LeakGroup(
        kind: .cycle, count: BlockCount(blocks: 100, bytes: 4400), type: $0, cycle: "Session ⇄ Handler", cycles: 100)
    }
    #expect(
      run(LeakReport(leaks: BlockCount(blocks: 200, bytes: 8800), groups: groups)) == [
        "200 blocks (8.6 KiB) were lost, all in 100 cycles Session ⇄ Handler: make one of the references weak, or break it when they are done."
      ])
  }

  @Test func withoutStacksAFullProfileIsAdvised() {
    let count = BlockCount(blocks: 1, bytes: 1024)
    let report = LeakReport(leaks: count, groups: [LeakGroup(kind: .definite, count: count)])
    #expect(
      run(report, profile: .sampled) == [
        "1 block (1.0 KiB) was lost.", "Run the program with `mallow run --profile full` to see where they were allocated.",
      ])
  }

  @Test func theHolderIsNamed() {
    let sentences = run(LeakReport()) {
      $0.heap = HeapStatistics()
      let held = BlockCount(blocks: 9, bytes: 61 << 20)
      $0.sites = Sites(
        largest: [Site(stack: stack("keep", "/src/keep.c", 8), live: held, total: held)], count: 4,
        live: BlockCount(blocks: 20, bytes: 100 << 20))
    }
    #expect(sentences == ["Nothing leaked.", "61% of the 100.0 MiB that was live at the end was allocated by keep() at keep.c:8."])
  }

  @Test func fragmentationIsNamed() {
    let sentences = run(LeakReport()) {
      $0.heap = HeapStatistics()
      $0.heap?.freeInUsedPages = 24 << 20
    }
    #expect(sentences.last?.hasPrefix("24.0 MiB of the heap is free but can't be given back") == true)
  }

  @Test func aDamagedHeapComesFirst() throws {
    let built = BuiltHeapWithDamage()
    let sentences = try run(LeakReport()) { $0.diagnoses = try built.diagnoses() }
    #expect(sentences.first?.hasPrefix("The heap is damaged") == true)
  }

  func run(_ leaks: LeakReport?, _ change: (inout RunSummary) throws -> Void) rethrows -> [String] {
    var run = RunSummary(target: target, exit: .code(0), wallSeconds: 1, profile: .full, leaks: leaks)
    try change(&run)
    return conclusion(for: run)
  }

  @Test(arguments: [
    (0, "0 bytes"), (1, "1 byte"), (1023, "1,023 bytes"), (1024, "1.0 KiB"), (9626, "9.4 KiB"), (15_728_640, "15.0 MiB"),
    (1_048_575, "1.0 MiB"), (4_402_341_478, "4.1 GiB"), (.max, "16.0 EiB"),
  ] as [(UInt64, String)]) func bytes(bytes: UInt64, text: String) {
    #expect(byteText(bytes) == text)
  }

  @Test(arguments: [
    (0, "0.00 s"), (0.042, "0.04 s"), (9.99, "9.99 s"), (9.996, "10.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"),
    (184, "3 min 04 s"), (7620, "2 h 07 min"), (.nan, "unknown time"), (-1, "unknown time"),
  ] as [(Double, String)]) func durations(seconds: Double, text: String) {
    #expect(durationText(seconds) == text)
  }

  @Test func numbers() {
    #expect([0, 999, 1000, 1_234_567, -1234].map { numberText($0) } == ["0", "999", "1,000", "1,234,567", "-1,234"])
    #expect(countText(1, "block") == "1 block")
    #expect(countText(2, "entry", "entries") == "2 entries")
    #expect([shareText(1, of: 1000), shareText(61, of: 100), shareText(5, of: 0), shareText(0, of: 9), shareText(999, of: 1000)] == ["<1%", "61%", "0%", "0%", ">99%"])
  }
}
