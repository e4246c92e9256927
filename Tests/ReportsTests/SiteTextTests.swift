// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import Testing

@testable import Reports

@Suite struct SiteTextTests {
  private func site(_ functions: [String], bytes: UInt64) -> Site {
    Site(
      stack: functions.map { StackFrame(function: $0, file: "/src/tree.c", line: 4, module: "/bin/tree") },
      live: BlockCount(blocks: 1, bytes: bytes), total: BlockCount(blocks: 1, bytes: bytes))
  }

  @Test func sitesThatLookTheSameAreOneEntry() {
    let sites = Sites(
      largest: [
        site(["pad", "main"], bytes: 50), site(["grow", "grow", "plant", "main"], bytes: 40),
        site(["grow", "plant", "main"], bytes: 30), site(["grow", "grow", "grow", "plant", "main"], bytes: 20),
      ], count: 6, live: BlockCount(blocks: 6, bytes: 200))
    let text = SiteText(sites: sites, style: Style(), siteLimit: 5, frameLimit: 3)
    #expect(
      text.lines == [
        "    45%     90 bytes  grow   tree.c:4",
        "                      plant  tree.c:4",
        "                      main   tree.c:4",
        "    25%     50 bytes  pad    tree.c:4",
        "                      main   tree.c:4",
        "                      … and 2 more sites (60 bytes)",
      ])
  }
}
