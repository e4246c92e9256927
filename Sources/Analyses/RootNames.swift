// Names of the places outside the heap that point into it.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage
import Symbols

/// Names variables, thread-local ones included, by symbols and debug information, and other memory by what it is.
public final class RootNames: RootNaming {
  private let mirror: MemoryMirror
  private let symbolizer: Symbolizer
  private let threadLocals: ThreadLocals

  /// Of larger variables the parts are not told apart: an array may have millions.
  private static let largestStructure: UInt64 = 256

  public init(_ mirror: MemoryMirror, _ symbolizer: Symbolizer, _ threadLocals: ThreadLocals) {
    self.mirror = mirror
    self.symbolizer = symbolizer
    self.threadLocals = threadLocals
  }

  public func rootName(at address: Address) -> RootName? {
    if let block = threadLocals.block(containing: address) {
      if let variable = threadLocals.variable(at: address, in: block) { return name(variable, at: address) }
      return RootName(name: "thread-local data of \(fileName(block.module))", range: block.range, isVariable: false)
    }
    guard let mapping = mirror.image.mapping(containing: address) else { return nil }
    if let module = symbolizer.modulePath(containing: address) {
      if let variable = symbolizer.variable(containing: address) { return name(variable, at: address) }
      return RootName(name: "data of \(fileName(module))", range: address..<address + 8, isVariable: false)
    }
    return RootName(name: words(mapping), range: mapping.start..<mapping.end, isVariable: false)
  }

  private func name(_ variable: Variable, at address: Address) -> RootName {
    let start = address - variable.offset
    guard let size = variable.size, size > Self.largestStructure else {
      return RootName(
        name: variable.name + (variable.field ?? ""), range: address..<address + 8, isVariable: true,
        pointee: (variable.fieldType ?? variable.type).flatMap { pointee(ofType: $0) })
    }
    return RootName(
      name: variable.name, range: start..<start + size, isVariable: true, pointee: variable.type.flatMap { pointee(ofType: $0) })
  }

  private func words(_ mapping: Mapping) -> String {
    if mapping.name == "[stack]" { return "the main thread's stack" }
    if let thread = mirror.image.threads.first(where: { mapping.contains($0.stackPointer) }) {
      return "the stack of thread \(thread.name.isEmpty ? "\(thread.threadID)" : thread.name)"
    }
    return mapping.name.isEmpty ? "anonymous memory" : "memory of \(fileName(mapping.name))"
  }

  private func fileName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
}

/// What a pointer type or an array of it points to: `struct session` for `struct session *[16]`, `struct entry *[]` for
/// `struct entry **`. Nil for other types, and for bytes, which may be anything.
func pointee(ofType type: String) -> String? {
  var type = type[...]
  while type.hasSuffix("]"), let open = type.lastIndex(of: "[") { type = type[..<open] }
  for qualifier in [" const", " volatile"] where type.hasSuffix(qualifier) { type = type.dropLast(qualifier.count) }
  guard type.hasSuffix("*"), !type.contains("(") else { return nil }
  type = type.dropLast()
  while type.hasSuffix(" ") { type = type.dropLast() }
  for qualifier in ["const ", "volatile "] where type.hasPrefix(qualifier) { type = type.dropFirst(qualifier.count) }
  if ["void", "char", "unsigned char", "signed char", "uint8_t", "int8_t", "std::byte"].contains(type) { return nil }
  return type.hasSuffix("*") ? type + "[]" : String(type)
}
