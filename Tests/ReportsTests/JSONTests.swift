// The JSON reports have the keys that scripts rely on.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Foundation
import Heaps
import Reports
import Testing

@Suite struct JSONTests {
  func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test func leaksHaveTheirKeys() throws {
    let object = try object(JSONReport.leaks(Fixtures.leaksSummary))
    #expect(object["schema"] as? String == "mallow/1")
    #expect(object["command"] as? String == "leaks")
    let target = try #require(object["target"] as? [String: Any])
    #expect(target["pid"] as? Int == 4242)
    #expect(target["executable"] as? String == "/srv/bin/chatserver")
    #expect(target["allocator"] as? String == "mallow")
    #expect(object["leaks"] as? [String: Int] == ["blocks": 1225, "bytes": 15_774_496])
    #expect(object["suppressed"] as? [String: Int] == ["blocks": 2, "bytes": 512])
    #expect((object["pause"] as? [String: Double])?["milliseconds"] == 21.457)
    let scanned = try #require(object["scanned"] as? [String: Double])
    #expect(scanned == ["bytes": 1_181_116_006, "milliseconds": 812.346])
    let groups = try #require(object["groups"] as? [[String: Any]])
    #expect(groups.map { $0["kind"] as? String } == ["definite", "indirect", "cycle", "cycle", "definite"])
    #expect(groups[0]["addresses"] as? [String] == ["0x7f0004010000", "0x7f0008010000", "0x7f000c010000"])
    #expect(groups[0]["type"] == nil)
    #expect(groups[2]["type"] as? String == "Handler")
    #expect(groups[2]["cycle"] as? String == "Session ⇄ Handler")
    #expect(groups[2]["cycles"] as? Int == 100)
    let stack = try #require(groups[2]["stack"] as? [[String: Any]])
    #expect(stack[0]["function"] as? String == "malloc")
    #expect(stack[0]["file"] == nil)
    #expect(stack[1]["file"] as? String == "/src/chat/Handler.swift")
    #expect(stack[1]["line"] as? Int == 31)
    #expect(stack[1]["module"] as? String == "/srv/bin/chatserver")
    #expect(stack[1]["inlined"] as? Bool == true)
    #expect(groups[4]["stack"] == nil)
  }

  @Test func runsHaveTheirKeys() throws {
    let object = try object(JSONReport.run(Fixtures.run))
    #expect(object["command"] as? String == "run")
    #expect(object["exit"] as? [String: Int] == ["code": 0])
    #expect(object["peakResident"] as? Int == 4_402_341_478)
    #expect(object["resident"] as? Int == 1_288_490_189)
    #expect(object["wallSeconds"] as? Double == 62.4)
    let heap = try #require(object["heap"] as? [String: Int])
    #expect(heap["live"] == 1_148_846_080)
    #expect(heap["blocks"] == 23_412)
    #expect(heap["allocations"] == 1_234_567)
    #expect(heap["frees"] == 1_211_155)
    #expect(object["leaks"] as? [String: Int] == ["blocks": 1225, "bytes": 15_774_496])
    #expect((object["groups"] as? [Any])?.count == 5)
    let site = try #require((object["sites"] as? [[String: Any]])?.first)
    #expect(site["liveBytes"] as? Int == 734_003_200)
    #expect(site["liveBlocks"] as? Int == 12_001)
    #expect(site["totalBytes"] as? Int == 3_000_000_000)
    #expect(site["totalBlocks"] as? Int == 50_000)
    #expect(site["peakBytes"] as? Int == 900_000_000)
    #expect(site["temporaryBlocks"] as? Int == 17)
    #expect((site["stack"] as? [Any])?.count == 7)
  }

  @Test func whatIsUnknownIsLeftOut() throws {
    let object = try object(JSONReport.run(Fixtures.killed))
    #expect(object["exit"] as? [String: Int] == ["signal": 11])
    for key in ["leaks", "groups", "heap", "resident"] { #expect(object[key] == nil) }
    #expect((object["notes"] as? [String])?.count == 1)
  }

  @Test func namesAreEscaped() throws {
    var summary = Fixtures.leaksSummary
    let name = "quote\" back\\slash \n \u{1} \u{2028} ☃ 🧠"
    summary.target.executable = name
    #expect(try (object(JSONReport.leaks(summary))["target"] as? [String: Any])?["executable"] as? String == name)
  }
}
