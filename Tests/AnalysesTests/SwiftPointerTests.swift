// Pointers as Swift stores them, with bits of its own in them, keep objects reachable; weak references do not.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct SwiftPointerTests {
  @Test(arguments: [0x4000, 0x8000, 0xc000, 0x7000, 0xf0ff] as [UInt64]) func payloadBitsAreTakenOff(bits: UInt64) throws {
    for isSwift in [true, false] {
      let process = Process(swift: isSwift)
      let block = process.heap.allocate(64)
      process.image.write(block.rawValue | bits << 48 | 5, at: process.data)
      #expect(try process.search().leaks.blocks == (isSwift ? 0 : 1))
    }
  }

  @Test func theSideTableOfAReachableObjectIsReachable() throws {
    let process = Process(swift: true)
    let object = process.heap.allocate(48)
    let sideTable = process.heap.allocate(32)
    process.image.write(words: [0, 3 << 62 | sideTable.rawValue >> 3], at: object)
    process.image.write(object.rawValue, at: sideTable)
    process.image.write(object.rawValue, at: process.data)
    #expect(try process.search().leaks.blocks == 0)
  }

  @Test func aWeakReferenceDoesNotKeepALostObject() throws {
    let process = Process(swift: true)
    let names = NamesByFirstWord(image: process.image, names: [1: "Parent", 2: "Child"])
    let (parent, child, sideTable) = (process.heap.allocate(48), process.heap.allocate(48), process.heap.allocate(32))
    process.image.write(words: [1, 3 << 62 | sideTable.rawValue >> 3, child.rawValue], at: parent)
    process.image.write(words: [2, 3, parent.rawValue], at: child)
    process.image.write(parent.rawValue, at: sideTable)
    process.image.write(sideTable.rawValue, at: process.data)
    let report = try process.search(types: names)
    #expect(report.groups.map(\.type) == ["Parent", "Child"])
    #expect(report.groups.map(\.cycle) == ["Parent ⇄ Child", "Parent ⇄ Child"])
  }
}
