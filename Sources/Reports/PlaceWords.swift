// A place in memory in words.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ProcessImage
import Symbols

extension Place {
  /// What lies there, as a phrase: `12 bytes into global variable cache of server`.
  var words: String {
    if let symbol {
      let owner =
        kind == "thread-local" ? thread.map { " of \($0.words)" } ?? "" : module.map { " of \(Self.fileName($0))" } ?? ""
      return symbol.words(kind: symbolKind(symbol)) + owner
    }
    if let frame { return frame.words + (thread.map { " of \($0.words)" } ?? "") }
    if let start { return start.words }
    switch kind {
    case "unmapped": return "nothing: no memory is mapped there"
    case "kernel": return "the kernel's half of the address space: no program can use this address"
    case "non-canonical": return "no address: the processor has none between user space and the kernel's half"
    case "thread-local":
      return "thread-local memory of \(module.map(Self.fileName) ?? "a module")" + (thread.map { ", for \($0.words)" } ?? "")
    case "guard": return "a guard page below a stack" + (thread.map { ", that of \($0.words)" } ?? "")
    default: break
    }
    switch stackPart {
    case .controlBlock: return "the control block of \(thread?.words ?? "a thread")"
    case .unused: return "an unused part of the stack" + (thread.map { " of \($0.words)" } ?? "") + ", below its stack pointer"
    case .inUse: return "the stack of \(thread?.words ?? "a thread"), in no frame that is known"
    case nil: break
    }
    // How far into what no symbol divides.
    guard let region, region.module == nil, address > region.start else { return kindInWords }
    return "\(countText(address - region.start, "byte")) into \(kindInWords)"
  }

  private func symbolKind(_ symbol: Variable) -> String {
    if symbol.isFunction { return "function" }
    switch kind {
    case "thread-local": return "thread-local variable"
    case "rodata": return "constant"
    case "text": return "symbol"
    default: return symbol.function == nil ? "variable" : "static variable"
    }
  }

  private var kindInWords: String {
    let owner = module.map { " of \(Self.fileName($0))" } ?? ""
    switch kind {
    case "text": return "code\(owner)"
    case "rodata": return "read-only data\(owner)"
    case "data": return "data\(owner)"
    case "bss": return "zero-initialised data\(owner)"
    case "heap": return (region?.name.hasSuffix("'s") == true ? "\(region!.name) heap" : "the heap") + ", but in no block of it"
    case "arguments": return "the program's arguments"
    case "environment": return "the program's environment"
    case "auxv": return "the auxiliary vector"
    case "vdso": return "the kernel's library in user space (vdso)"
    case "vvar": return "the kernel's data for that library (vvar)"
    case "vsyscall": return "the kernel's page of old system calls (vsyscall)"
    case "file": return "a mapping of \(region?.name ?? "a file")"
    case "shared": return "shared memory" + regionName
    case "reserved": return "reserved address space without access" + regionName
    case "thread-stack": return "a thread's stack" + regionName
    case "stack": return "the main thread's stack"
    default: return "\(kind) memory" + regionName
    }
  }

  private var regionName: String { region.flatMap { $0.name.isEmpty ? nil : " (\($0.name))" } ?? "" }

  static func fileName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
}

extension Place.Thread {
  /// `thread 4242 "worker"`.
  var words: String { "thread \(threadID)" + (name.isEmpty ? "" : " \"\(name)\"") }
}

extension Variable {
  /// `12 bytes into variable cache.entries[3]`.
  func words(kind: String) -> String {
    let named = "\(kind) \(name)" + (function.map { " in \($0)" } ?? "")
    return offset == 0 ? named : "\(countText(offset, "byte")) into \(named)"
  }

  /// Where it is declared, as `server.c:12`.
  var declaration: String? { file.map { Place.fileName($0) + (line.map { ":\($0)" } ?? "") } }
}

extension Place.CallFrame {
  var function: String { functions.first?.function ?? "an unknown function" }

  var words: String {
    let part = local?.words(kind: "local variable") ?? (isReturnAddress ? "the return address" : "the stack frame")
    return "\(part) of \(function), frame \(depth)"
  }
}

extension Place.StartPart {
  var words: String {
    let kind = isVariable ? "environment variable \(label)" : label.hasPrefix("argv") ? "argument \(label)" : label
    return offset == 0 ? kind : "\(countText(offset, "byte")) into \(kind)"
  }
}

extension Explanation {
  /// What lies at the address, as a phrase.
  var headline: String {
    guard let block, place.symbol == nil, place.frame == nil else { return place.words }
    let kind = block.words
    if block.isBehind { return "the allocator's part of \(kind)" }
    let offset = place.address - block.block.start
    return offset == 0 ? kind : "\(countText(offset, "byte")) into \(kind)"
  }
}

extension Explanation.HeapBlock {
  fileprivate var words: String {
    switch freeKind {
    case .threadCache: "a free heap block, in a thread's cache"
    case .fastbin: "a free heap block, in a fastbin"
    case .bin: "a free heap block, in a bin"
    case .metadata: "malloc's own record of a thread's cache"
    case nil: "a \(block.state.rawValue) heap block" + (type.map { " of type \($0)" } ?? "")
    }
  }
}

extension Explanation.Chain {
  /// The root, as a phrase.
  var rootWords: String {
    switch chain.root {
    case .memory(let address):
      guard let root else { return "the word at \(address)" }
      let variable = root.symbol ?? root.frame?.local
      return root.words + (variable?.field.map { " (\($0))" } ?? "") + (variable?.declaration.map { ", \($0)" } ?? "")
    case .register(let identifier, let name): return "register \(name) of \(thread?.words ?? "thread \(identifier)")"
    case .endedThread: return "the stack of a thread that has ended"
    case .kernel(let holder): return "a word that only the kernel holds (\(holder))"
    }
  }
}
