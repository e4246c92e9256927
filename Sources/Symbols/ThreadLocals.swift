// Thread-local variables: where each thread has its copies of each module's.
// SPDX-License-Identifier: Apache-2.0

import CElfutils
import ProcessImage

/// The thread-local memory of a target's threads.
///
/// A thread's pointer leads to its control block, and that to a table with the address of each module's thread-local memory by the
/// module's number (Drepper, "ELF Handling For Thread-Local Storage", variant II). Which module has which number is in glibc's
/// private part of the loader's list of modules; glibc tells its debugger library at which offset, in exported records of three
/// 32-bit words: bits, count, offset.
public final class ThreadLocals {
  /// One thread's copy of a module's thread-local variables.
  public struct Block: Sendable {
    public var thread: ThreadState
    public var range: Range<Address>
    /// The path of the executable or library.
    public var module: String
  }

  private let image: any ProcessImage
  private let symbolizer: Symbolizer
  /// What each module's memory is like, with the module's number where the loader's list tells.
  private lazy var templates = findTemplates()
  /// Every copy that exists, in address order. A module loaded with dlopen(3) has one in a thread only once it was used there.
  public private(set) lazy var blocks = findBlocks()

  private struct Template {
    var module: Module
    var file: ObjectFile
    var size: UInt64
    var alignment: UInt64
    var address: UInt64
    var number: UInt64?
    var isExecutable: Bool
  }

  public init(image: any ProcessImage, symbolizer: Symbolizer) {
    self.image = image
    self.symbolizer = symbolizer
  }

  /// The copy that contains an address.
  public func block(containing address: Address) -> Block? {
    var low = 0
    var high = blocks.count
    while low < high {
      let middle = (low + high) / 2
      if blocks[middle].range.upperBound <= address { low = middle + 1 } else { high = middle }
    }
    return low < blocks.count && blocks[low].range.contains(address) ? blocks[low] : nil
  }

  /// The variable that contains an address, which lies in `block`.
  public func variable(at address: Address, in block: Block, withType: Bool = true) -> Variable? {
    guard let template = templates.first(where: { $0.module.path == block.module }) else { return nil }
    let offset = address - block.range.lowerBound
    let symbol = template.file.threadLocalSymbol(containing: offset)
    var variable = symbol.map {
      Variable(
        name: demangle($0.name), rawName: $0.name, size: $0.size > 0 ? $0.size : nil, module: block.module,
        offset: offset - $0.start)
    }
    if withType || symbol == nil, let debug = template.file.debugInformation, let found = debug.threadLocal(containing: offset),
      symbol == nil || symbol!.start == found.start
    {
      variable = debug.describe(found.entry, function: found.function, offset: offset - found.start).named(by: variable)
      variable!.module = block.module
    }
    return variable
  }

  /// Where each thread has its copy of the variable at an offset of a module's thread-local memory.
  func addresses(of offset: UInt64, in module: Module) -> [(thread: ThreadState, address: Address)] {
    blocks.filter { $0.module == module.path && $0.range.lowerBound + offset < $0.range.upperBound }
      .map { ($0.thread, $0.range.lowerBound + offset) }
  }

  private func findTemplates() -> [Template] {
    let numbers = moduleNumbers()
    let executable = symbolizer.modules.first { $0.path == image.executable } ?? symbolizer.modules.first
    return symbolizer.modules.compactMap { module in
      guard let file = module.file, let segment = file.threadLocalSegment, segment.memorySize > 0 else { return nil }
      return Template(
        module: module, file: file, size: segment.memorySize, alignment: max(segment.alignment, 1), address: segment.address,
        number: numbers[module.path], isExecutable: module === executable)
    }
  }

  /// Module numbers by path, from the loader's list of modules (`struct r_debug` and `link_map` in <link.h>).
  private func moduleNumbers() -> [String: UInt64] {
    guard let list = symbolizer.address(ofSymbol: "_r_debug"),
      let record = symbolizer.address(ofSymbol: "_thread_db_link_map_l_tls_modid"),
      let bits = image.load(record, as: UInt32.self), let offset = image.load(record + 8, as: UInt32.self), bits == 64,
      var map = image.load(list + 8, as: UInt64.self)
    else { return [:] }
    var result: [String: UInt64] = [:]
    var steps = 0
    while map != 0, steps < 10_000 {
      steps += 1
      let entry = Address(map)
      // The module is told by its dynamic section, which lies in it.
      if let dynamic = image.load(entry + 16, as: UInt64.self), let module = symbolizer.module(containing: Address(dynamic)),
        let number = image.load(entry + UInt64(offset), as: UInt64.self), (1...4096).contains(number)
      {
        result[module.path] = number
      }
      guard let next = image.load(entry + 24, as: UInt64.self) else { break }
      map = next
    }
    return result
  }

  private func findBlocks() -> [Block] {
    var result: [Block] = []
    for thread in image.threads where thread.threadPointer.rawValue != 0 {
      for template in templates {
        guard let start = start(of: template, in: thread), image.mapping(containing: start) != nil else { continue }
        result.append(Block(thread: thread, range: start..<start + template.size, module: template.module.path))
      }
    }
    return result.sorted { $0.range.lowerBound < $1.range.lowerBound }
  }

  private func start(of template: Template, in thread: ThreadState) -> Address? {
    let entrySize: UInt64 = 16
    if let number = template.number, let table = image.load(thread.threadPointer + 8, as: UInt64.self),
      // The entry in front of the table tells how many there are; a thread's table grows when it needs a newer module.
      let count = image.load(Address(table) - entrySize, as: UInt64.self), number <= count,
      let start = image.load(Address(table) + number * entrySize, as: UInt64.self), start != .max, start != 0
    {
      return Address(start)
    }
    // An executable's own lie right below the thread pointer, also where there is no loader.
    guard template.isExecutable else { return nil }
    let (size, alignment) = (template.size, template.alignment)
    let below = (size &+ (template.address & (alignment - 1)) &+ alignment - 1) & ~(alignment - 1)
    return thread.threadPointer - (below &- (template.address & (alignment - 1)))
  }
}

extension ObjectFile {
  /// `PT_TLS` (elf(5)).
  var threadLocalSegment: (address: UInt64, memorySize: UInt64, alignment: UInt64)? {
    var count = 0
    guard elf_getphdrnum(elf, &count) == 0 else { return nil }
    for index in 0..<min(count, 4096) {
      var program = GElf_Phdr()
      guard gelf_getphdr(elf, Int32(index), &program) != nil else { return nil }
      guard program.p_type == PT_TLS, program.p_memsz < 1 << 30 else { continue }
      let alignment = program.p_align & (program.p_align &- 1) == 0 ? program.p_align : 1
      return (program.p_vaddr, program.p_memsz, max(alignment, 1))
    }
    return nil
  }

  /// The thread-local symbol that contains an offset.
  func threadLocalSymbol(containing offset: UInt64) -> (name: String, start: UInt64, size: UInt64)? {
    guard let section = symbols.section else { return nil }
    var found: UInt32?
    for index in 0..<UInt32(section.count) {
      let symbol = section[index]
      guard symbol.isDefined, symbol.isThreadLocal, offset >= symbol.st_value, offset - symbol.st_value < max(symbol.st_size, 1)
      else { continue }
      if found == nil || section.isPlainer(index, than: found!) { found = index }
    }
    guard let found, let name = section.name(found) else { return nil }
    return (name, section[found].st_value, section[found].st_size)
  }
}
