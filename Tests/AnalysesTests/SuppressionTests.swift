// Suppression files in LeakSanitizer's syntax.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct SuppressionTests {
  let stack = [
    StackFrame(function: "cache_insert", file: "/src/cache.c", line: 4, module: "/usr/lib/libcache.so.2"),
    StackFrame(function: "main", file: "/src/main.c", line: 9, module: "/usr/bin/server"),
  ]

  func matches(_ text: String) throws -> Bool { try Suppressions(parsing: text, name: "list").matches(stack) }

  @Test(arguments: [
    "leak:cache_insert", "leak:insert", "leak:main.c", "leak:libcache", "leak:^main$", "leak:^cache*t$", "leak:c*e*t",
    "leak:*", "# comment\r\n\r\n  leak:server$  \r\n", "leak:.so.2$", "leak:^/usr/bin/",
  ]) func patternsThatMatch(text: String) throws {
    #expect(try matches(text))
  }

  @Test(arguments: [
    "", "# leak:main", "leak:Cache", "leak:^insert", "leak:cache$", "leak:^cache$", "leak:t*c*i*x", "leak:^main.$",
    "leak:insertt", "leak:^e*t$",
  ]) func patternsThatDoNot(text: String) throws {
    #expect(try !matches(text))
  }

  @Test(arguments: ["leak", "leak:", "race:foo", "leaks:foo", ":x", "leak foo"]) func errorsNameLineAndText(text: String) {
    #expect {
      try Suppressions(parsing: "leak:fine\n\n\(text)\n", name: "lsan.supp")
    } throws: {
      "\($0)".hasPrefix("lsan.supp, line 3: ") && "\($0)".contains("`\(text)`")
    }
  }

  struct OneFunctionPerAddress: StackSymbolizing {
    func frames(_ returnAddresses: [Address]) -> [StackFrame] {
      returnAddresses.map { StackFrame(function: "function\($0.rawValue)") }
    }
  }

  @Test func suppressedBlocksTakeWhatTheyHoldAlong() throws {
    let process = Process()
    let one = process.heap.addStack([1, 3])
    let two = process.heap.addStack([2, 3])
    let known = process.heap.allocate(112, stack: one, requested: 90)
    let held = process.heap.allocate(48)
    let other = process.heap.allocate(112, stack: two, requested: 80)
    process.image.write(held.rawValue, at: known + 8)
    var options = LeakSearch.Options()
    options.suppressions = try Suppressions(parsing: "leak:function1$", name: "list")
    let report = try process.search(options, symbolizer: OneFunctionPerAddress())
    #expect(report.suppressed == BlockCount(blocks: 2, bytes: 138))
    #expect(report.leaks == BlockCount(blocks: 1, bytes: 80))
    #expect(report.groups.map(\.addresses) == [[other]])
    #expect(report.groups[0].stack?.map(\.function) == ["function2", "function3"])
    options.suppressions = try Suppressions(parsing: "leak:function3", name: "list")
    #expect(try process.search(options, symbolizer: OneFunctionPerAddress()).leaks.blocks == 0)
  }
}
