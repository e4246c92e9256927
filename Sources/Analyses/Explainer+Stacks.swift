// Where on a thread's stack an address lies, and what the kernel left above the main thread's.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage
import Symbols

extension Explainer {
  /// The size of glibc's record of a thread is at most this.
  private static let controlBlockSize: UInt64 = 0x900
  private static let redZone: UInt64 = 128

  func findStack(of address: Address, in region: AddressSpace.Region, _ place: inout Place) {
    let threads = mirror.image.threads
    place.thread = region.threadID.flatMap { id in threads.first { $0.threadID == id } }.map { Place.Thread($0) }
    if let owner = threads.first(where: { $0.threadPointer <= address && address - $0.threadPointer < Self.controlBlockSize }) {
      place.thread = Place.Thread(owner)
      place.stackPart = .controlBlock
      return
    }
    guard let mapping = mirror.image.mapping(containing: address) else { return }
    // Memory next to a stack may have merged with it to one mapping: only frames prove that an address lies on the stack.
    let sharing = threads.filter { mapping.contains($0.stackPointer) }
    let inUse = sharing.filter { $0.stackPointer - Self.redZone <= address }.max { $0.stackPointer < $1.stackPointer }
    if let thread = inUse {
      if let (frame, depth) = callFrames.frame(of: thread, containing: address) {
        place.thread = Place.Thread(thread)
        place.frame = describe(frame, depth: depth, address)
      } else if region.isStack {
        place.thread = Place.Thread(thread)
        place.stackPart = .inUse
      }
    } else if region.isStack {
      if place.thread == nil { place.thread = sharing.min { $0.stackPointer < $1.stackPointer }.map { Place.Thread($0) } }
      place.stackPart = .unused
    }
  }

  private func describe(_ frame: CallFrame, depth: Int, _ address: Address) -> Place.CallFrame {
    Place.CallFrame(
      depth: depth,
      functions: symbolizer.frames(for: frame.programCounter, isReturnAddress: frame.isReturnAddress).map {
        StackFrame(function: $0.function, file: $0.file, line: $0.line, module: $0.module, inlined: $0.inlined)
      },
      local: callFrames.local(at: address, in: frame), isReturnAddress: address >= frame.stack.upperBound - 8)
  }

  /// Which argument, environment string or entry of the auxiliary vector an address lies in.
  func startPart(at address: Address) -> Place.StartPart? {
    guard let start else { return nil }
    if let (index, text) = string(at: address, of: start.arguments) {
      return Place.StartPart(label: "argv[\(index)]", value: text, offset: address - start.arguments[index])
    }
    if let (index, text) = string(at: address, of: start.environment) {
      let name = String(text.prefix { $0 != "=" })
      return Place.StartPart(label: name, value: text, offset: address - start.environment[index], isVariable: true)
    }
    if start.executableName.contains(address) {
      return Place.StartPart(
        label: "executable's name", value: mirror.string(start.executableName.lowerBound) ?? "",
        offset: address - start.executableName.lowerBound)
    }
    func word(_ label: String) -> Place.StartPart {
      let aligned = Address(address.rawValue & ~7)
      return Place.StartPart(
        label: label, value: mirror.word(aligned).map { Address($0).description } ?? "", offset: address - aligned)
    }
    if start.argumentPointers.contains(address) {
      return word("pointer argv[\((address - start.argumentPointers.lowerBound) / 8)]")
    }
    if start.environmentPointers.contains(address) {
      return word("pointer envp[\((address - start.environmentPointers.lowerBound) / 8)]")
    }
    if start.auxiliaryVector.contains(address) {
      let pair = Address(address.rawValue & ~15 | start.auxiliaryVector.lowerBound.rawValue & 15)
      let entry = pair > address ? pair - 16 : pair
      let type = mirror.word(entry) ?? 0
      return word(address - entry < 8 ? "type of \(Self.auxiliaryName(type))" : Self.auxiliaryName(type))
    }
    return nil
  }

  /// The string, of those that begin at the given addresses, that an address lies in, its zero byte included.
  private func string(at address: Address, of strings: [Address]) -> (index: Int, text: String)? {
    let below = strings.indices.filter { strings[$0] <= address }
    guard let index = below.max(by: { strings[$0] < strings[$1] }), address - strings[index] < 1 << 20 else { return nil }
    let text = mirror.bytes(strings[index], count: 1 << 20).prefix { $0 != 0 }
    return address - strings[index] <= UInt64(text.count) ? (index, String(decoding: text, as: UTF8.self)) : nil
  }

  /// The names in <elf.h>.
  private static func auxiliaryName(_ type: UInt64) -> String {
    let names: [UInt64: String] = [
      0: "AT_NULL", 3: "AT_PHDR", 4: "AT_PHENT", 5: "AT_PHNUM", 6: "AT_PAGESZ", 7: "AT_BASE", 8: "AT_FLAGS", 9: "AT_ENTRY",
      11: "AT_UID",
      12: "AT_EUID", 13: "AT_GID", 14: "AT_EGID", 15: "AT_PLATFORM", 16: "AT_HWCAP", 17: "AT_CLKTCK", 23: "AT_SECURE",
      24: "AT_BASE_PLATFORM", 25: "AT_RANDOM", 26: "AT_HWCAP2", 27: "AT_RSEQ_FEATURE_SIZE", 28: "AT_RSEQ_ALIGN", 31: "AT_EXECFN",
      33: "AT_SYSINFO_EHDR", 51: "AT_MINSIGSTKSZ",
    ]
    return names[type] ?? "AT_\(type)"
  }
}

extension AddressSpace.Region {
  fileprivate var isStack: Bool { kind == .stack || kind == .threadStack }
}
