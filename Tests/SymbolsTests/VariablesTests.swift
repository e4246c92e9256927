// Variables of a loaded library: names, types, parts, sections, also without a symbol table.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import ProcessImage
import Symbols
import Testing

private let source = """
  struct point { short x, y; };
  struct shape {
    const char *name;
    struct { struct point corners[2][3]; } outline;
    void (*draw)(struct shape *, int);
  };
  struct shape shape = {"square"};
  static volatile int hidden = 3;
  const char *const names[4] = {"a"};
  long zeros[8];
  static const double ratio = 1.5;
  _Thread_local long perThread[4] = {1};
  int *counter(void) {
    static int count = 1;
    hidden++;
    return &count;
  }
  void *address(int which) {
    switch (which) {
      case 0: return &shape.outline.corners[1][2].y;
      case 1: return (void *)&hidden;
      case 2: return (void *)&names[2];
      case 3: return &zeros[7];
      case 4: return (void *)&ratio;
      case 5: return counter();
      case 6: return &shape.draw;
      default: return &perThread[1];
    }
  }
  void *shapeCorner(void) { return address(0); }
  void *hiddenPlace(void) { return address(1); }
  void *namesPlace(void) { return address(2); }
  void *zerosPlace(void) { return address(3); }
  void *ratioPlace(void) { return address(4); }
  void *countPlace(void) { return address(5); }
  void *drawPlace(void) { return address(6); }

  """

@Suite struct VariablesTests {
  let workshop: Workshop
  let library: Library
  let symbolizer: Symbolizer

  init() throws {
    workshop = try Workshop()
    try workshop.write(source, to: "variables.c")
    try workshop.run("gcc", "-g", "-O0", "-shared", "-fPIC", "-o", "variables.so", "variables.c")
    library = try workshop.load("variables.so")
    symbolizer = Symbolizer(image: try SelfImage())
  }

  func variable(_ function: String) throws -> Variable {
    try #require(symbolizer.variable(containing: Address(try library.call(function))))
  }

  @Test func partsOfStructures() throws {
    let corner = try variable("shapeCorner")
    #expect(corner.name == "shape")
    #expect(corner.type == "struct shape")
    #expect(corner.field == ".outline.corners[1][2].y")
    #expect(corner.fieldType == "short int")
    #expect(corner.offset == 8 + 5 * 4 + 2)
    #expect(corner.file?.hasSuffix("variables.c") == true)
    #expect(corner.line == line(of: "struct shape shape =", in: source))
    let draw = try variable("drawPlace")
    #expect(draw.field == ".draw")
    #expect(draw.fieldType == "void (*)(struct shape *, int)")
  }

  @Test func staticAndConstantOnes() throws {
    let hidden = try variable("hiddenPlace")
    #expect(hidden.name == "hidden" && hidden.type == "volatile int" && hidden.size == 4)
    let count = try variable("countPlace")
    #expect(count.name == "count" && count.rawName.hasPrefix("count.") && count.function == "counter")
    let names = try variable("namesPlace")
    #expect(names.type == "const char * const[4]")
    #expect(names.field == "[2]")
    #expect(symbolizer.section(containing: Address(try library.call("ratioPlace"))) == ".rodata")
    #expect(symbolizer.section(containing: Address(try library.call("zerosPlace"))) == ".bss")
    #expect(try variable("zerosPlace").offset == 56)
  }

  @Test func withoutSymbolsDebugInformationNamesThem() throws {
    try workshop.run("objcopy", "--strip-symbol=hidden", "--strip-symbol=ratio", "variables.so", "without.so")
    let mappings = try workshop.mappings(ofLibrary: "without.so", at: 0x7f00_0000_0000)
    let bare = Symbolizer(mappings: mappings, processID: 0)
    let base = try #require(symbolizer.address(ofSymbol: "shape", inModule: workshop.path("variables.so")))
    let start = try #require(bare.address(ofSymbol: "shape"))
    let found = bare.variable(containing: start + (Address(try library.call("hiddenPlace")) - base), withType: false)
    #expect(found?.name == "hidden" && found?.rawName == "")
  }

  @Test func namesLeadToAddresses() throws {
    let image = try SelfImage()
    let threadLocals = ThreadLocals(image: image, symbolizer: symbolizer)
    let found = symbolizer.addresses(named: "zeros", threadLocals: threadLocals).filter { $0.module == workshop.path("variables.so") }
    #expect(found.map(\.address) == [Address(try library.call("zerosPlace")) - 56])
    let statics = symbolizer.addresses(named: "count", threadLocals: threadLocals).filter { $0.module == workshop.path("variables.so") }
    #expect(statics.map(\.address) == [Address(try library.call("countPlace"))])
    let alone = Symbolizer(mappings: try workshop.mappings(ofLibrary: "variables.so", at: 0x7f00_0000_0000), processID: 0)
    #expect(alone.addresses(named: "zeros", threadLocals: threadLocals).count == 1)
    #expect(alone.addresses(named: "no_such_variable", threadLocals: threadLocals).isEmpty)
  }
}
