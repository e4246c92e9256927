// The same answers as binutils' addr2line and LLVM's llvm-symbolizer give.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessImage
import Symbols
import Testing

private let cplusplus = """
  #include <algorithm>
  #include <map>
  #include <memory>
  #include <string>
  #include <vector>
  struct Table {
    std::map<std::string, std::shared_ptr<std::vector<int>>> rows;
    void add(const std::string &key, int value) {
      auto &row = rows[key];
      if (!row) row = std::make_shared<std::vector<int>>();
      row->push_back(value);
      std::sort(row->begin(), row->end(), [](int a, int b) { return a > b; });
    }
  };
  extern "C" int fill(int count) {
    Table table;
    for (int i = 0; i < count; i++) table.add(std::to_string(i % 7), i);
    return table.rows.size();
  }

  """

private let swift = """
  public struct Point: Hashable {
    var x: Int
    var y: Int
  }
  public final class Grid {
    var points: [Point: [String]] = [:]
    public func add(_ names: [String]) {
      for (index, name) in names.enumerated() {
        points[Point(x: index, y: name.count), default: []].append(name.uppercased())
      }
    }
    public func sorted() -> [String] {
      points.values.flatMap { $0.filter { !$0.isEmpty } }.sorted { $0.count < $1.count }
    }
  }

  """

@Suite struct Addr2lineTests {
  // addr2line 2.40 misses inlined calls in what Clang and Swift write as DWARF 5.
  @Test(arguments: [
    ("c++", 4, "addr2line"), ("c++", 5, "addr2line"), ("clang++", 4, "addr2line"), ("swiftc", 4, "addr2line"),
    ("clang++", 5, "llvm-symbolizer"), ("swiftc", 5, "llvm-symbolizer"),
  ])
  func twoHundredAddresses(compiler: String, version: Int, reference: String) throws {
    let workshop = try Workshop()
    if compiler == "swiftc" {
      try workshop.write(swift, to: "sample.swift")
      try workshop.run(
        "swiftc", "-O", "-g", "-dwarf-version=\(version)", "-parse-as-library", "-emit-library", "-module-name",
        "sample", workshop.path("sample.swift"), "-o", "sample.so")
    } else {
      try workshop.write(cplusplus, to: "sample.cpp")
      try workshop.run(
        compiler, "-O2", "-gdwarf-\(version)", "-fPIC", "-shared", workshop.path("sample.cpp"), "-o", "sample.so")
    }
    let base: UInt64 = 1 << 24
    let mappings = try workshop.mappings(ofLibrary: "sample.so", at: base)
    let symbolizer = Symbolizer(mappings: mappings, processID: 0)
    let addresses = try workshop.codeAddresses(ofLibrary: "sample.so", count: 200)

    let list = addresses.map { "0x" + String($0, radix: 16) }
    let style = reference == "addr2line" ? [] : ["--output-style=GNU", "--functions=none"]
    let output = try workshop.run([reference] + style + ["-a", "-i", "-e", "sample.so"] + list)
    var expected: [[String]] = []
    for line in output.split(separator: "\n") {
      if line.hasPrefix("0x") {
        expected.append([])
      } else {
        expected[expected.count - 1].append(position(String(line.split(separator: " ")[0])))
      }
    }
    let found = addresses.map { address in
      symbolizer.frames(for: Address(base + address), isReturnAddress: false).map { frame in
        position("\(frame.file ?? "??"):\(frame.line ?? 0)")
      }
    }
    try #require(found.count == expected.count)
    for (address, (found, expected)) in zip(list, zip(found, expected)) {
      #expect(found == expected, "at \(address)")
    }
    #expect(found.contains { $0.count > 3 })
  }

  /// The last part of the path and the line. The tools differ in how they write `..` and folders left out, and where
  /// the line is unknown addr2line guesses at a file by the symbols.
  private func position(_ place: String) -> String {
    let last = place.split(separator: "/").last.map(String.init) ?? ""
    return last.hasSuffix(":0") || last.hasSuffix(":?") ? "unknown" : last
  }
}
