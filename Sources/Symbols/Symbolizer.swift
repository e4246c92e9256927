// From addresses of a target to functions, lines, variables, and back.
// SPDX-License-Identifier: Apache-2.0

import CElfutils
import ProcessImage

/// Finds what lies at addresses of a target, which may be dead by now: only its mappings and the files are needed.
///
/// Files are opened, and their tables built, when an address in them is first asked for. Not safe for use from
/// several threads.
public final class Symbolizer {
  let mappings: [Mapping]
  let processID: Int32
  /// Nil where only mappings are known.
  let image: (any ProcessImage)?
  private let files: SymbolFiles
  private(set) lazy var modules = findModules(in: mappings, symbolizer: self)
  private lazy var extents: [(start: Address, end: Address, module: Module)] = findExtents()
  private var frameCache: [Address: [Frame]] = [:]

  /// A symbolizer for an image, whose memory tells whether a file is the one that is loaded.
  /// - Parameter files: shared by several symbolizers to open each file once.
  public convenience init(image: any ProcessImage, files: SymbolFiles = SymbolFiles()) {
    self.init(mappings: image.mappings, processID: image.processID, image: image, files: files)
  }

  /// A symbolizer for a process whose memory is gone.
  /// - Parameters:
  ///   - mappings: in address order.
  ///   - processID: used to reach the files of another mount namespace while the process exists; 0 if unknown.
  public convenience init(mappings: [Mapping], processID: Int32, files: SymbolFiles = SymbolFiles()) {
    self.init(mappings: mappings, processID: processID, image: nil, files: files)
  }

  private init(mappings: [Mapping], processID: Int32, image: (any ProcessImage)?, files: SymbolFiles) {
    self.mappings = mappings
    self.processID = processID
    self.image = image
    self.files = files
  }

  /// The source-level frames at an address, innermost first, inlined calls included; never empty.
  /// - Parameter isReturnAddress: true for addresses found on a stack. The call is then the instruction before, which
  ///   may belong to another line and, at the end of a function that doesn't return, to another function.
  public func frames(for pc: Address, isReturnAddress: Bool) -> [Frame] {
    let target = isReturnAddress && pc.rawValue > 0 ? pc - 1 : pc
    var frames: [Frame]
    if let known = frameCache[target] {
      frames = known
    } else {
      frames = findFrames(at: target)
      frameCache[target] = frames
    }
    if isReturnAddress { for index in frames.indices { frames[index].offset += 1 } }
    return frames
  }

  private func findFrames(at address: Address) -> [Frame] {
    guard let module = module(containing: address) else { return [Frame(function: address.description)] }
    guard let link = module.linkAddress(address), let file = module.file else {
      return [unknown(address, module)]
    }
    let symbol = file.symbols.symbol(containing: link, functionsOnly: true)
    guard let location = file.debugInformation?.location(link) else {
      guard let symbol else { return [unknown(address, module)] }
      return [
        Frame(
          function: demangle(symbol.name), rawName: symbol.name, module: module.path, offset: link - symbol.start)
      ]
    }
    var frames: [Frame] = []
    for source in location.frames {
      var name = source.name
      if !source.inlined, let symbol, isBetter(symbol, than: name, start: location.functionStart) {
        name = FunctionName(raw: symbol.name, readable: demangle(symbol.name), isLinkage: true)
      }
      var frame = unknown(address, module)
      if let name {
        frame.function = name.readable
        frame.rawName = name.raw
        frame.offset = link - (location.functionStart ?? symbol?.start ?? link)
      }
      frame.file = source.file
      frame.line = source.line
      frame.inlined = source.inlined
      frames.append(frame)
    }
    return frames
  }

  /// Whether a symbol says more than debug information: it tells overloads of static functions apart, for which
  /// compilers record no linkage name, and it has the public name of what a C library calls `__GI___libc_malloc`
  /// inside.
  private func isBetter(_ symbol: SymbolTable.Match, than name: FunctionName?, start: UInt64?) -> Bool {
    guard let name else { return true }
    if !name.isLinkage, symbol.name.hasPrefix("_Z") { return true }
    return symbol.start == start && name.raw.hasPrefix("_") && name.raw == name.readable
      && !symbol.name.hasPrefix("_") && !symbol.name.contains(".")
  }

  private func unknown(_ address: Address, _ module: Module) -> Frame {
    let offset = address - module.start
    let name = module.path.split(separator: "/").last.map(String.init) ?? module.path
    return Frame(function: "\(name)+\(Address(offset))", module: module.path, offset: offset)
  }

  /// The function or variable that an address lies in.
  public func symbol(containing address: Address) -> SymbolLocation? {
    guard let module = module(containing: address), let link = module.linkAddress(address), let file = module.file,
      let found = file.symbols.symbol(containing: link, functionsOnly: file.isCode(link))
        ?? file.symbols.symbol(containing: link, functionsOnly: false)
    else { return nil }
    return SymbolLocation(
      name: demangle(found.name), rawName: found.name, offset: link - found.start, module: module.path)
  }

  /// Where a function or variable is loaded, found by its name in the symbol table.
  /// - Parameter module: the path or the last part of the path of a library or executable; nil looks in all of them.
  public func address(ofSymbol name: String, inModule module: String? = nil) -> Address? {
    let candidates = modules.filter { module == nil || $0.path == module || $0.path.hasSuffix("/" + module!) }
    // What is exported first: those tables are short.
    for table in [".dynsym", ".symtab"] {
      for candidate in candidates {
        guard let file = candidate.file, let bias = candidate.bias else { continue }
        if let found = symbols(table, of: file)?.address(of: name) { return Address(found &+ bias) }
      }
    }
    return nil
  }

  private func symbols(_ table: String, of file: ObjectFile) -> SymbolSection? {
    if let own = SymbolSection(file, table) { return own }
    guard table == ".symtab", let debug = file.separateDebugFile else { return nil }
    return SymbolSection(debug, table)
  }

  /// The path of the executable or library that an address lies in, its bss included.
  public func modulePath(containing address: Address) -> String? { module(containing: address)?.path }

  func module(containing address: Address) -> Module? {
    var low = 0
    var high = extents.count
    while low < high {
      let middle = (low + high) / 2
      if extents[middle].end <= address { low = middle + 1 } else { high = middle }
    }
    return low < extents.count && extents[low].start <= address ? extents[low].module : nil
  }

  private func findExtents() -> [(start: Address, end: Address, module: Module)] {
    modules.flatMap { module in module.mappings.map { ($0.start, $0.end, module) } }.sorted { $0.start < $1.start }
  }

  func openFile(of module: Module) -> ObjectFile? { files.file(for: module, processID: processID, image: image) }
}
