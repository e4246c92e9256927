// Functions, files and lines of C++ code.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessImage
import Symbols
import Testing

private let source = """
  #include <cstdint>
  extern "C" __attribute__((noinline)) uint64_t here() { return (uint64_t)__builtin_return_address(0); }
  namespace net {
  template <class T> struct Table {
    T last{};
    inline uint64_t insert(T value) {
      last = value;
      return here() ^ 0;  // in insert
    }
  };
  struct Session {
    explicit Session(int id);
    uint64_t place;
  };
  Session::Session(int id) {
    place = Table<int>().insert(id);  // in Session
    __asm__ volatile("" ::: "memory");
  }
  }
  static __attribute__((noinline)) uint64_t helper(long) {
    uint64_t result = here();  // in helper
    __asm__ volatile("" : "+r"(result));
    return result;
  }
  extern "C" uint64_t constructed() { return net::Session(3).place; }
  extern "C" uint64_t helped() { return helper(1) ^ 0; }
  extern "C" uint64_t lambda() {
    auto function = [](auto value) __attribute__((noinline)) {
      uint64_t result = here();  // in lambda
      __asm__ volatile("" : "+r"(result));
      return result + value;
    };
    return function(0);
  }

  """

@Suite struct CPlusPlusFramesTests {
  @Test(arguments: ["c++", "clang++"])
  func frames(compiler: String) throws {
    let workshop = try Workshop()
    try workshop.write(source, to: "sample.cpp")
    let path = workshop.path("sample.cpp")
    try workshop.run(compiler, "-O2", "-g", "-fPIC", "-shared", path, "-o", "sample.so")
    let library = try workshop.load("sample.so")
    let symbolizer = Symbolizer(image: try SelfImage())

    let inlined = symbolizer.frames(for: Address(try library.call("constructed")), isReturnAddress: true)
    #expect(inlined.map(\.function) == ["net::Table<int>::insert(int)", "net::Session::Session(int)"])
    #expect(inlined.map(\.line) == ["in insert", "in Session"].map { line(of: "// \($0)", in: source) })
    #expect(inlined.map(\.file) == [path, path])
    #expect(inlined.map(\.inlined) == [true, false])

    let helper = symbolizer.frames(for: Address(try library.call("helped")), isReturnAddress: true)
    #expect(helper.map(\.function) == ["helper(long)"])
    #expect(helper.map(\.line) == [line(of: "// in helper", in: source)])

    let lambda = symbolizer.frames(for: Address(try library.call("lambda")), isReturnAddress: true)
    #expect(lambda.first?.function.contains("lambda") == true)
    #expect(lambda.first?.line == line(of: "// in lambda", in: source))
  }
}
