// Types of C++ objects, from a library that the test builds and loads.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import ProcessImage
import Symbols
import Testing

private let source = """
  #include <memory>
  #include <string>
  #include <map>
  namespace net {
  struct Session {
    virtual ~Session() {}
    int id = 1;
  };
  template <class Key, class Value> struct Table {
    virtual ~Table() {}
    virtual int size() { return 2; }
    Key key{};
  };
  struct Named {
    virtual ~Named() {}
    int number = 3;
  };
  struct Both : Session, virtual Named {
    int more = 4;
  };
  }
  namespace {
  struct Hidden {
    virtual ~Hidden() {}
  };
  }
  struct Plain {
    long numbers[4] = {1, 2, 3, 4};
  };
  template <class T> void *counts(std::shared_ptr<T> *pointer) { return ((void **)pointer)[1]; }
  #pragma GCC visibility push(default)
  extern "C" {
  void *session() { return new net::Session; }
  void *table() { return new net::Table<std::string, std::map<int, long>>; }
  void *both() { return new net::Both; }
  void *hidden() { return new Hidden; }
  void *plain() { return new Plain; }
  void *made() { return counts(new std::shared_ptr<Plain>(std::make_shared<Plain>())); }
  void *adopted() { return counts(new std::shared_ptr<Plain>(new Plain)); }
  }

  """

@Suite struct CPlusPlusTypeNamesTests {
  let workshop: Workshop

  init() throws {
    workshop = try Workshop()
    try workshop.write(source, to: "types.cpp")
  }

  private func names(_ library: String) throws -> [String: String] {
    let loaded = try workshop.load(library)
    var result: [String: String] = [:]
    for function in ["session", "table", "both", "hidden", "plain", "made", "adopted"] {
      let block = try loaded.call(function)
      let image = try SelfImage()
      let names = TypeNames(image: image, symbolizer: Symbolizer(image: image))
      let size = malloc_usable_size(UnsafeMutableRawPointer(bitPattern: UInt(block)))
      let type = names.typeName(ofBlockAt: Address(block), size: UInt64(size))
      #expect(type?.language == .cplusplus || type == nil)
      result[function] = type?.name
    }
    return result
  }

  private let expected = [
    "session": "net::Session", "table": "net::Table<std::string, std::map<int, long>>", "both": "net::Both",
    "hidden": "(anonymous namespace)::Hidden", "made": "Plain", "adopted": "std::shared_ptr<Plain> counts",
  ]

  @Test(arguments: [
    ["c++"], ["c++", "-O2", "-s"], ["c++", "-fvisibility=hidden", "-s"], ["clang++"], ["c++", "-fno-rtti"],
  ])
  func virtualClasses(compiler: [String]) throws {
    try workshop.run(compiler + ["-fPIC", "-shared", "types.cpp", "-o", "types.so"])
    #expect(try names("types.so") == expected)
  }

  @Test(arguments: [["c++", "-g"], ["c++", "-g", "-O2", "-gdwarf-4"], ["clang++", "-g"]])
  func members(compiler: [String]) throws {
    try workshop.write(source.replacing("int id = 1;", with: "int id = 1; struct { void *first, *second; } pair; static int count;"), to: "types.cpp")
    try workshop.run(compiler + ["-fPIC", "-shared", "types.cpp", "-o", "members.so"])
    let loaded = try workshop.load("members.so")
    func field(_ function: String, _ offset: UInt64) throws -> String? {
      let block = try loaded.call(function)
      let image = try SelfImage()
      let size = UInt64(malloc_usable_size(UnsafeMutableRawPointer(bitPattern: UInt(block))))
      return TypeNames(image: image, symbolizer: Symbolizer(image: image)).fieldName(ofBlockAt: Address(block), size: size, at: offset)
    }
    #expect(try [8, 16, 24].map { try field("session", $0) } == ["id", "pair", "pair"])
    // The members of a base class; a virtual base has no place that is known.
    #expect(try field("both", 8) == "id")
    #expect(try field("both", 32) == "more")
    #expect(try field("table", 8) == "key")
    // Behind the counts that std::make_shared puts in front.
    #expect(try field("made", 16) == "numbers")
    #expect(try field("made", 8) == nil)
    #expect(try field("plain", 0) == nil)
  }

  @Test func withoutSymbolsAndTypeInformationNothingIsGuessed() throws {
    try workshop.run("c++", "-fPIC", "-shared", "-fno-rtti", "-fvisibility=hidden", "-s", "types.cpp", "-o", "bare.so")
    #expect(try names("bare.so")["session"] == nil)
  }
}
