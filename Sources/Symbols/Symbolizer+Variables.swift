// What lies at an address of a loaded file: section, symbol, variable with its type and declaration.
// SPDX-License-Identifier: Apache-2.0

import CElfutils
import ProcessImage

extension Symbolizer {
  /// The section that an address lies in, such as `.bss`; nil outside of any.
  public func section(containing address: Address) -> String? {
    guard let module = module(containing: address), let link = module.linkAddress(address) else { return nil }
    return module.file?.section(containing: link)
  }

  /// Whether a module has a section of a name.
  public func hasSection(_ name: String, inModule path: String) -> Bool {
    modules.contains { $0.path == path && $0.file?.section(name) != nil }
  }

  /// The function or variable that an address lies in.
  /// - Parameter withType: asks debug information for the type and declaration of variables, too. The first time it reads through
  ///   all of a module's debug information; variables without a symbol are looked for there in any case.
  public func variable(containing address: Address, withType: Bool = true) -> Variable? {
    guard let module = module(containing: address), let link = module.linkAddress(address), let file = module.file else {
      return nil
    }
    let symbol =
      file.symbols.symbol(containing: link, functionsOnly: file.isCode(link))
      ?? file.symbols.symbol(containing: link, functionsOnly: false)
    var variable = symbol.map {
      Variable(
        name: demangle($0.name), rawName: $0.name, isFunction: $0.isFunction, size: $0.size > 0 ? $0.size : nil,
        module: module.path, offset: link - $0.start)
    }
    if file.isCode(link), symbol != nil {
      // The function's line is that of its first instruction.
      if let frame = frames(for: address, isReturnAddress: false).last {
        (variable!.file, variable!.line) = (frame.file, frame.line)
      }
      return variable
    }
    if withType || symbol == nil, let debug = file.debugInformation, let found = debug.variable(containing: link),
      symbol == nil || symbol!.start == found.start
    {
      let described = debug.describe(found.entry, function: found.function, offset: link - found.start)
      variable = described.named(by: variable)
      variable!.module = module.path
    }
    return variable
  }
}

extension Variable {
  /// What debug information says, with the symbol's name where that says more: it has the scope of C++ and Swift variables, while
  /// C's static variables of functions are numbered.
  func named(by symbol: Variable?) -> Variable {
    guard let symbol else { return self }
    var result = self
    result.rawName = symbol.rawName
    if symbol.name != symbol.rawName { result.name = symbol.name }
    result.size = symbol.size ?? size
    return result
  }
}

extension ObjectFile {
  func section(containing address: UInt64) -> String? {
    sections.first {
      // Thread-local zeros take no room where the section's header says they lie.
      let flags = $0.header.sh_flags
      let isThreadLocalZeros = flags & UInt64(SHF_TLS) != 0 && $0.header.sh_type == UInt32(SHT_NOBITS)
      return flags & UInt64(SHF_ALLOC) != 0 && !isThreadLocalZeros && address &- $0.header.sh_addr < $0.header.sh_size
    }?.name
  }
}
