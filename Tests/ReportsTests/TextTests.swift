// The text reports to the letter.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import Reports
import Testing

@Suite struct TextTests {
  @Test func aRunOfManyKinds() {
    let expected = """
      chatserver  exited with code 0 after 1 min 02 s, 12.3 s of processor time
      ────────────────────────────────────────────────────────────────────────────────
      Memory   4.1 GiB at the peak        1.2 GiB at the end         resident
      Heap     1.1 GiB live               23,412 blocks
               9.1 MiB free               between live blocks
               5.9 MiB retained           free, kept for reuse
               1,234,567 allocations      1,211,155 frees

      Held by  the largest of 214 allocation sites
          64%    700.0 MiB  std::map<…>::operator[]()            map.cpp:1180
                            Cache::remember(Request const&)      cache.cpp:77
                            main                                 main.swift:3
          18%    200.0 MiB  Session.__allocating_init(user:)     Session.swift:12
                            Server.accept(_:)                    Server.swift:88
                            main                                 main.swift:3
          <1%      4.7 KiB  Handler.__allocating_init(session:)  Handler.swift:31
                            Session.start()                      Session.swift:40
                            Server.accept(_:)                    Server.swift:90
                            … and 211 more sites (195.6 MiB)

      Lost     15.0 MiB in 1,225 blocks: 4 definite, 200 in cycles, 1,021 indirect
               suppressed: 512 bytes in 2 blocks
           15.0 MiB  3 blocks of 5.0 MiB
                       std::map<…>::operator[]()            map.cpp:1180
                       Cache::remember(Request const&)      cache.cpp:77
                       main                                 main.swift:3
           36.2 KiB  Node, 1 block of 96 bytes, and 1,021 blocks that hung on it
            8.6 KiB  100 cycles Session ⇄ Handler, 200 blocks
                     Handler:
                       Handler.__allocating_init(session:)  Handler.swift:31
                       Session.start()                      Session.swift:40
                       Server.accept(_:)                    Server.swift:90
                     Session:
                       Session.__allocating_init(user:)     Session.swift:12
                       Server.accept(_:)                    Server.swift:88
                       main                                 main.swift:3

      1,225 blocks (15.0 MiB) were lost, >99% of the bytes from
      std::map<…>::operator[]() at map.cpp:1180: free them.

      """
    #expect(TextReport.run(Fixtures.run, style: Style(width: 80)) == expected)
  }

  @Test func aRunOnAWideTerminal() {
    let expected = """
      chatserver  exited with code 0 after 1 min 02 s, 12.3 s of processor time
      ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
      Memory   4.1 GiB at the peak        1.2 GiB at the end         resident
      Heap     1.1 GiB live               23,412 blocks
               9.1 MiB free               between live blocks
               5.9 MiB retained           free, kept for reuse
               1,234,567 allocations      1,211,155 frees

      Held by  the largest of 214 allocation sites
          64%    700.0 MiB  std::map<…>::operator[]()            map.cpp:1180
                            Cache::remember(Request const&)      cache.cpp:77
                            main                                 main.swift:3
          18%    200.0 MiB  Session.__allocating_init(user:)     Session.swift:12
                            Server.accept(_:)                    Server.swift:88
                            main                                 main.swift:3
          <1%      4.7 KiB  Handler.__allocating_init(session:)  Handler.swift:31
                            Session.start()                      Session.swift:40
                            Server.accept(_:)                    Server.swift:90
                            main                                 main.swift:3
                            … and 211 more sites (195.6 MiB)

      Lost     15.0 MiB in 1,225 blocks: 4 definite, 200 in cycles, 1,021 indirect
               suppressed: 512 bytes in 2 blocks
           15.0 MiB  3 blocks of 5.0 MiB
                       std::map<…>::operator[]()            map.cpp:1180
                       Cache::remember(Request const&)      cache.cpp:77
                       main                                 main.swift:3
           36.2 KiB  Node, 1 block of 96 bytes, and 1,021 blocks that hung on it
            8.6 KiB  100 cycles Session ⇄ Handler, 200 blocks
                     Handler:
                       Handler.__allocating_init(session:)  Handler.swift:31
                       Session.start()                      Session.swift:40
                       Server.accept(_:)                    Server.swift:90
                       main                                 main.swift:3
                     Session:
                       Session.__allocating_init(user:)     Session.swift:12
                       Server.accept(_:)                    Server.swift:88
                       main                                 main.swift:3

      1,225 blocks (15.0 MiB) were lost, >99% of the bytes from std::map<…>::operator[]() at map.cpp:1180: free them.

      """
    #expect(TextReport.run(Fixtures.run, style: Style(width: 120)) == expected)
  }

  @Test func leaks() {
    let expected = """
      chatserver  process 4242
      ────────────────────────────────────────────────────────────────────────────────
      Lost     15.0 MiB in 1,225 blocks: 4 definite, 200 in cycles, 1,021 indirect
               suppressed: 512 bytes in 2 blocks
           15.0 MiB  3 blocks of 5.0 MiB
                       std::map<…>::operator[]()            map.cpp:1180
                       Cache::remember(Request const&)      cache.cpp:77
                       main                                 main.swift:3
           36.2 KiB  Node, 1 block of 96 bytes, and 1,021 blocks that hung on it
            8.6 KiB  100 cycles Session ⇄ Handler, 200 blocks
                     Handler:
                       Handler.__allocating_init(session:)  Handler.swift:31
                       Session.start()                      Session.swift:40
                       Server.accept(_:)                    Server.swift:90
                       main                                 main.swift:3
                     Session:
                       Session.__allocating_init(user:)     Session.swift:12
                       Server.accept(_:)                    Server.swift:88
                       main                                 main.swift:3
      Scanned  1.1 GiB in 0.81 s; the process stood still for 0.02 s

      Note     Its stacks are those of the program before it was replaced.

      1,225 blocks (15.0 MiB) were lost, >99% of the bytes from
      std::map<…>::operator[]() at map.cpp:1180: free them.

      """
    #expect(TextReport.leaks(Fixtures.leaksSummary, style: Style(width: 80)) == expected)
  }

  @Test func aKilledRun() {
    let expected = """
      worker  was killed by SIGSEGV (11) after 0.42 s
      ────────────────────────────────────────────────────────────────────────────────
      Memory   9.2 MiB at the peak        resident

      Held by  one allocation site (estimates, a sample every 512.0 KiB)
         100%      2.9 KiB  load  load.c:5

      Note     Leaks were not searched for, since the program was killed before its
               memory could be looked at.

      The program crashed: run it with MALLOW_HARDEN=1 to see whether it misused
      memory, and where.

      """
    #expect(TextReport.run(Fixtures.killed, style: Style(width: 80)) == expected)
  }

  @Test func aCleanRun() {
    let expected = """
      true  exited with code 1 after 0.00 s
      ────────────────────────────────────────────────────────────────────────────────
      Memory   2.0 MiB at the peak        2.0 MiB at the end         resident
      Heap     48 bytes live              1 block
               0 bytes free               between live blocks
               0 bytes retained           free, kept for reuse
               2 allocations              1 free

      Lost     nothing

      Nothing leaked.

      """
    #expect(TextReport.run(Fixtures.clean, style: Style(width: 80)) == expected)
  }

  @Test(arguments: [40, 57, 80, 100, 200]) func linesFitTheWidth(width: Int) {
    let style = Style(width: width)
    let texts = [Fixtures.run, Fixtures.killed, Fixtures.clean].map { TextReport.run($0, style: style) }
    for text in texts + [TextReport.leaks(Fixtures.leaksSummary, style: style)] {
      for line in text.split(separator: "\n") where width >= 80 { #expect(line.count <= width, "\(line)") }
      #expect(text.contains("KiB") || text.contains("MiB"))
    }
  }

  @Test func coloursChangeNothingElse() {
    let plain = TextReport.run(Fixtures.run, style: Style(width: 80))
    let colored = TextReport.run(Fixtures.run, style: Style(width: 80, isColored: true))
    #expect(colored.contains("\u{1b}[1;31m"))
    #expect(colored.replacing(#/\u{1b}\[[0-9;]*m/#, with: "") == plain)
  }

  @Test func aRunFitsOneScreen() {
    var run = Fixtures.run
    run.leaks!.groups = run.leaks!.groups + Fixtures.leaks.groups
    run.sites.largest += Fixtures.sites.largest
    #expect(TextReport.run(run).split(separator: "\n", omittingEmptySubsequences: false).count <= 41)
    // With little to say there is room for more of each stack.
    run.leaks = LeakReport()
    run.sites.largest = [run.sites.largest[0]]
    run.sites.largest[0].stack = (0..<9).map { Fixtures.frame("f\($0)", "f.c", $0) }
    #expect(TextReport.run(run).contains("f5"))
    #expect(!TextReport.run(run).contains("f6"))
  }

  @Test func moreGroupsAreCounted() {
    let groups = (0..<17).map { index in
      LeakGroup(kind: .definite, count: BlockCount(blocks: 1, bytes: UInt64(2000 - index)), type: "Type\(index)")
    }
    let report = LeakReport(
      leaks: groups.reduce(into: BlockCount()) { $0 += $1.count }, groups: groups)
    var run = Fixtures.clean
    run.leaks = report
    let text = TextReport.run(run)
    #expect(text.contains("Type4,"))
    #expect(!text.contains("Type5,"))
    #expect(text.contains("… and 12 more groups (23.3 KiB)"))
    let summary = LeaksSummary(target: Fixtures.target, leaks: report)
    #expect(TextReport.leaks(summary, limit: 16).contains("… and 1 more group (1.9 KiB)"))
  }

  @Test func controlCharactersOfATargetAreNotPrinted() {
    var run = Fixtures.killed
    run.target.executable = "/bin/\u{1b}[31mevil\n"
    run.sites.largest[0].stack = [StackFrame(function: "\u{7}f", file: "a\u{1b}b.c", module: "m")]
    let text = TextReport.run(run)
    #expect(text.unicodeScalars.allSatisfy { $0.value >= 32 || $0 == "\n" })
  }
}
