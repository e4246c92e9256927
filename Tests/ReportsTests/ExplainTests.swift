// What is said of an address, to the letter.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Reports
import Symbols
import Testing

@Suite struct ExplainTests {
  static let data = AddressSpace.Region(
    start: Address(0x5555_0000_4000), end: Address(0x5555_0000_4100), kind: .data, name: "/srv/bin/chatserver",
    module: "/srv/bin/chatserver", permissions: [.read, .write])

  static var variable: Explanation {
    var place = Place(address: Address(0x5555_0000_401c), kind: "data")
    place.region = data
    place.module = "/srv/bin/chatserver"
    place.section = ".data"
    place.symbol = Variable(
      name: "server", rawName: "_ZN4chat6serverE", type: "chat::Server", size: 40, file: "/src/chat/server.cpp", line: 12,
      module: "/srv/bin/chatserver", offset: 28, field: ".ports[1]", fieldType: "int")
    var explanation = Explanation(target: Fixtures.target, place: place)
    explanation.contents = [2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 9, 9, 9, 9]
    return explanation
  }

  @Test func aVariable() {
    let expected = """
      0x55550000401c  in chatserver, process 4242
      ────────────────────────────────────────────────────────────────────────────────
      Is       28 bytes into variable server of chatserver
      Type     chat::Server; server.ports[1] is int
      Size     40 bytes
      Declared server.cpp:12
      Symbol   _ZN4chat6serverE
      Module   /srv/bin/chatserver, section .data
      Region   0x555500004000 to 0x555500004100
               rw-p  data, 256 bytes
      Holds    0x300000002 0x9090909 0x0

      """
    // Twelve bytes of the variable are left.
    #expect(TextReport.explain(Self.variable) == expected.replacing("0x9090909 0x0", with: "0x4"))
  }

  @Test func aVariableInJSON() throws {
    let json = try JSONReport.explain(Self.variable)
    for part in [
      #""address" : "0x55550000401c""#, #""kind" : "data""#, #""symbol" : "server""#, #""offset" : 28"#, #""section" : ".data""#,
      #""field" : ".ports[1]""#, #""command" : "explain""#, #""schema" : "mallow/1""#,
    ] { #expect(json.contains(part), "\(part)") }
  }

  @Test func anUnmappedAddress() {
    var explanation = Explanation(target: Fixtures.target, place: Place(address: Address(0x5555_0000_5000), kind: "unmapped"))
    explanation.below = Explanation.Neighbour(region: Self.data, distance: 0xf01)
    let expected = """
      0x555500005000  in chatserver, process 4242
      ────────────────────────────────────────────────────────────────────────────────
      Is       nothing: no memory is mapped there
      Below    3.8 KiB lower: data 0x555500004000 to 0x555500004100
               /srv/bin/chatserver

      """
    #expect(TextReport.explain(explanation) == expected)
  }

  @Test func placesInWords() {
    func words(_ kind: String, _ change: (inout Place) -> Void = { _ in }) -> String {
      var place = Place(address: Address(0x5000), kind: kind)
      change(&place)
      return TextReport.explain(Explanation(target: Fixtures.target, place: place)).split(separator: "\n")[2...].joined(
        separator: " ")
    }
    let thread = Place.Thread(ThreadState(threadID: 7, name: "worker", stackPointer: Address(0)))
    #expect(words("guard") { $0.thread = thread }.hasPrefix(#"Is       a guard page below a stack, that of thread 7 "worker""#))
    #expect(words("kernel").contains("no program can use this address"))
    #expect(
      words("stack") { ($0.thread, $0.stackPart) = (thread, .controlBlock) }.contains(#"the control block of thread 7 "worker""#))
    #expect(
      words("arguments") { $0.start = Place.StartPart(label: "argv[1]", value: "--port", offset: 2) }.contains(
        "2 bytes into argument argv[1]"))
  }
}
