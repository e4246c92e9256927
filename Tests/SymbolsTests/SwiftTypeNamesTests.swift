// Types of Swift objects, read from the test's own process.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import ProcessImage
import Symbols
import Testing

private final class Session {
  var id = 1
  final class Inner { var value = 2 }
}
class Handler { var value = 3 }
final class SpecialHandler: Handler { var more = 4 }
extension Handler {
  final class Nested { var value = 5 }
}
extension Session.Inner {
  final class Deep { var value = 6 }
}
class Box<T> {
  var value: T
  init(_ value: T) { self.value = value }
}
final class StringBox: Box<String> {}
final class Pair<First, Second>: Box<First> where First: Hashable {
  var second: Second
  init(_ first: First, _ second: Second) {
    self.second = second
    super.init(first)
  }
  enum Side { case left, right }
}
struct Point<Scalar> { var x, y: Scalar }
enum Fault: Error { case broken(Int) }

@Suite struct SwiftTypeNamesTests {
  private func typeName(of object: AnyObject) throws -> TypeName? {
    try withExtendedLifetime(object) {
      try typeName(ofBlock: UnsafeRawPointer(Unmanaged.passUnretained(object).toOpaque()))
    }
  }

  private func typeName(ofBlock block: UnsafeRawPointer) throws -> TypeName? {
    let image = try SelfImage()
    return TypeNames(image: image, symbolizer: Symbolizer(image: image)).typeName(
      ofBlockAt: Address(UInt64(UInt(bitPattern: block))),
      size: UInt64(malloc_usable_size(UnsafeMutableRawPointer(mutating: block))))
  }

  private func word(_ index: Int, of object: AnyObject) -> UnsafeRawPointer {
    UnsafeRawPointer(Unmanaged.passUnretained(object).toOpaque()).load(
      fromByteOffset: index * 8, as: UnsafeRawPointer.self)
  }

  private func own(_ name: String) -> TypeName { TypeName(name: name, module: "SymbolsTests", language: .swift) }

  @Test func classes() throws {
    final class Local { var value = 7 }
    #expect(try typeName(of: Session()) == own("Session"))
    #expect(try typeName(of: Session.Inner()) == own("Session.Inner"))
    #expect(try typeName(of: SpecialHandler()) == own("SpecialHandler"))
    #expect(try typeName(of: Handler.Nested()) == own("Handler.Nested"))
    #expect(try typeName(of: Session.Inner.Deep()) == own("Session.Inner.Deep"))
    #expect(try typeName(of: Local()) == own("SwiftTypeNamesTests.Local"))
  }

  @Test func genericClasses() throws {
    #expect(try typeName(of: Box(1)) == own("Box<Int>"))
    #expect(try typeName(of: Box([Point(x: 1.0, y: 2.0)])) == own("Box<Array<Point<Double>>>"))
    #expect(try typeName(of: Box<Int?>(nil)) == own("Box<Optional<Int>>"))
    #expect(try typeName(of: Box((1, "two"))) == own("Box<(Int, String)>"))
    #expect(try typeName(of: Box({ (x: Int) in "\(x)" })) == own("Box<(Int) -> String>"))
    #expect(try typeName(of: Box<Any>(1)) == own("Box<Any>"))
    #expect(try typeName(of: Box<any Error>(Fault.broken(1))) == own("Box<any Error>"))
    #expect(try typeName(of: Box<Int.Type>(Int.self)) == own("Box<Int.Type>"))
    #expect(try typeName(of: Box(Pair<Int, Int>.Side.left)) == own("Box<Pair.Side<Int, Int>>"))
    #expect(try typeName(of: StringBox("s")) == own("StringBox"))
    #expect(try typeName(of: Pair(1, "two")) == own("Pair<Int, String>"))
  }

  @Test func standardLibraryStorage() throws {
    let array = (1...Int.random(in: 5...6)).map { $0 }
    let name = try withExtendedLifetime(array) {
      try typeName(ofBlock: unsafeBitCast(array, to: UnsafeRawPointer.self))
    }
    #expect(name == TypeName(name: "_ContiguousArrayStorage<Int>", module: "Swift", language: .swift))
    let dictionary = Dictionary(uniqueKeysWithValues: array.map { ("\($0)", $0) })
    let storage = try withExtendedLifetime(dictionary) {
      try typeName(ofBlock: unsafeBitCast(dictionary, to: UnsafeRawPointer.self))
    }
    #expect(storage == TypeName(name: "_DictionaryStorage<String, Int>", module: "Swift", language: .swift))
  }

  @Test func errorsAndClosures() throws {
    final class Keeper {
      let error: any Error
      init(_ error: any Error) { self.error = error }
    }
    let keeper = Keeper(Fault.broken(Int.random(in: 0...9)))
    #expect(try typeName(ofBlock: word(2, of: keeper)) == own("error Fault"))

    // The stored closure is its code and its context.
    final class Holder {
      let closure: () -> Int
      init(_ closure: @escaping () -> Int) { self.closure = closure }
    }
    let session = Session()
    let count = Int.random(in: 1...9)
    let single = Holder { session.id }
    let several = Holder { session.id + count }
    // A closure over a single reference has the object itself for its context.
    #expect(try typeName(ofBlock: word(3, of: single)) == own("Session"))
    #expect(try typeName(ofBlock: word(3, of: several)) == TypeName(name: "closure context", language: .swift))
    withExtendedLifetime((keeper, single, several)) {}
  }

  private func fieldName(of object: AnyObject, at offset: UInt64) throws -> String? {
    try withExtendedLifetime(object) {
      let image = try SelfImage()
      let block = Unmanaged.passUnretained(object).toOpaque()
      return TypeNames(image: image, symbolizer: Symbolizer(image: image)).fieldName(
        ofBlockAt: Address(UInt64(UInt(bitPattern: block))), size: UInt64(malloc_usable_size(block)), at: offset)
    }
  }

  @Test func fields() throws {
    #expect(try fieldName(of: Session(), at: 16) == "id")
    #expect(try fieldName(of: SpecialHandler(), at: 16) == "value")
    #expect(try fieldName(of: SpecialHandler(), at: 24) == "more")
    let pair = Pair("one", "two")
    #expect(try [16, 24, 32, 40].map { try fieldName(of: pair, at: $0) } == ["value", "value", "second", "second"])
    #expect(try fieldName(of: pair, at: 8) == nil)
    #expect(try fieldName(of: pair, at: 4096) == nil)
    let array = (1...Int.random(in: 5...6)).map { $0 }
    #expect(try fieldName(of: unsafeBitCast(array, to: AnyObject.self), at: 40) == "[]")
  }

  @Test func blocksThatAreTooSmallOrNoObjects() throws {
    let image = try SelfImage()
    let names = TypeNames(image: image, symbolizer: Symbolizer(image: image))
    let session = Session()
    let address = Address(UInt64(UInt(bitPattern: Unmanaged.passUnretained(session).toOpaque())))
    #expect(names.typeName(ofBlockAt: address, size: 24)?.name == "Session")
    #expect(names.typeName(ofBlockAt: address, size: 16) == nil)
    #expect(names.typeName(ofBlockAt: address, size: 0) == nil)
    #expect(names.typeName(ofBlockAt: Address(8), size: 64) == nil)
    #expect(names.typeName(ofBlockAt: Address(.max), size: 64) == nil)
    withExtendedLifetime(session) {}
    // Any word at all may come first.
    var generator = SystemRandomNumberGenerator()
    for mapping in image.mappings where mapping.isReadable {
      for _ in 0..<64 {
        let word = mapping.start + (UInt64.random(in: 0..<mapping.size, using: &generator) & ~7)
        _ = names.typeName(ofBlockAt: address, size: 64, firstWord: word.rawValue)
      }
    }
  }
}
