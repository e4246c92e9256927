// Cycles are told with the fields that hold them together, as far as they are known.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Testing

/// Types by the first word, fields by type and offset.
private struct Objects: TypeNaming {
  let image: BuiltImage
  var fields: [String: String] = [:]

  func typeName(at address: Address, size: UInt64) -> String? {
    image.load(address, as: UInt64.self).flatMap { [101: "Session", 102: "Handler", 103: "Array"][$0] }
  }

  func fieldName(at address: Address, size: UInt64, offset: UInt64) -> String? {
    typeName(at: address, size: size).flatMap { fields["\($0)+\(offset)"] }
  }
}

@Suite struct CycleFieldTests {
  private func cycles(_ fields: [String: String], _ kinds: [UInt64] = [101, 102]) throws -> Set<String> {
    let process = Process()
    let blocks = kinds.map { _ in process.heap.allocate(64) }
    for (index, kind) in kinds.enumerated() {
      process.image.write(words: [kind, 0, 0, blocks[(index + 1) % blocks.count].rawValue], at: blocks[index])
    }
    let groups = try process.search(types: Objects(image: process.image, fields: fields)).groups
    #expect(groups.allSatisfy { $0.kind == .cycle })
    return Set(groups.compactMap(\.cycle))
  }

  @Test func fieldsAreNamed() throws {
    #expect(
      try cycles(["Session+24": "handler", "Handler+24": "session"]) == ["Session.handler → Handler.session → Session"])
    #expect(try cycles(["Session+24": "handler"]) == ["Session.handler → Handler → Session"])
    #expect(try cycles(["Session+16": "other"]) == ["Session ⇄ Handler"])
  }

  @Test func elementsAndSelfReferences() throws {
    #expect(
      try cycles(["Session+24": "list", "Array+24": "[]"], [101, 103]) == ["Session.list → Array[] → Session"])
    #expect(try cycles(["Session+24": "me"], [101]) == ["Session.me → Session"])
  }

  @Test func cyclesThroughDifferentFieldsAreDifferent() throws {
    let process = Process()
    for offset in [16, 24] as [UInt64] {
      let (session, handler) = (process.heap.allocate(64), process.heap.allocate(64))
      process.image.write(101 as UInt64, at: session)
      process.image.write(102 as UInt64, at: handler)
      process.image.write(handler.rawValue, at: session + offset)
      process.image.write(session.rawValue, at: handler + 16)
    }
    let objects = Objects(image: process.image, fields: ["Session+16": "first", "Session+24": "second", "Handler+16": "session"])
    let groups = try process.search(types: objects).groups
    #expect(
      Set(groups.compactMap(\.cycle)) == [
        "Session.first → Handler.session → Session", "Session.second → Handler.session → Session",
      ])
  }
}
