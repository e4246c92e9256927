// An executable or library as it is loaded in a target.
// SPDX-License-Identifier: Apache-2.0

import ProcessImage

/// A loaded file: its mappings, and how far it was moved from its link-time addresses.
final class Module {
  /// Everything mapped from the file, and the anonymous memory (bss) right behind, in address order.
  var mappings: [Mapping]
  private unowned let symbolizer: Symbolizer

  init(_ first: Mapping, symbolizer: Symbolizer) {
    mappings = [first]
    self.symbolizer = symbolizer
  }

  var path: String { mappings[0].name }

  /// Where the start of the file's first segment is loaded, as far as that is known. Not that of the first mapping: a
  /// program may have mapped the file as data as well.
  var start: Address {
    if let bias, let first = file?.segments.first { return Address((first.address &+ bias) & ~4095) }
    let code = mappings.first { $0.isExecutable } ?? mappings[0]
    return code.start - code.fileOffset
  }

  /// The file with its symbols; nil where it can't be found or is no longer the one that is loaded.
  lazy var file: ObjectFile? = symbolizer.openFile(of: self)

  /// What is added to a link-time address, modulo 2^64; nil where the file is unknown or its segments don't fit.
  lazy var bias: UInt64? = file.flatMap { bias(for: $0) }

  func bias(for file: ObjectFile) -> UInt64? {
    guard let code = mappings.first(where: { $0.isExecutable }) else { return nil }
    // Two segments may share a page of the file: the permissions tell them apart.
    for segment in file.segments where segment.isExecutable {
      let first = segment.fileOffset & ~4095
      if code.fileOffset >= first, code.fileOffset < segment.fileOffset &+ segment.fileSize {
        return code.start.rawValue &- code.fileOffset &+ segment.fileOffset &- segment.address
      }
    }
    return nil
  }

  /// The link-time address of a loaded address; nil where that is in no segment.
  func linkAddress(_ address: Address) -> UInt64? {
    guard let bias, let file else { return nil }
    let result = address.rawValue &- bias
    return file.isLoaded(result) ? result : nil
  }
}

/// Groups file mappings into modules. A file that is mapped without any code, as data, is none.
func findModules(in mappings: [Mapping], symbolizer: Symbolizer) -> [Module] {
  struct File: Hashable {
    var name: String
    var device: String
    var inode: UInt64
  }
  var modules: [Module] = []
  var latest: [File: Module] = [:]
  var previous: Module?
  for mapping in mappings {
    if mapping.name.isEmpty {
      // bss continues the data that it follows without a gap.
      if let previous, let last = previous.mappings.last, last.end == mapping.start, last.isWritable,
        mapping.isWritable
      {
        previous.mappings.append(mapping)
      }
      previous = nil
      continue
    }
    previous = nil
    guard mapping.name.hasPrefix("/") || mapping.name == "[vdso]" else { continue }
    let key = File(name: mapping.name, device: mapping.device, inode: mapping.inode)
    if let module = latest[key], let last = module.mappings.last(where: { !$0.name.isEmpty }),
      mapping.fileOffset >= last.fileOffset
    {
      module.mappings.append(mapping)
    } else {
      latest[key] = Module(mapping, symbolizer: symbolizer)
      modules.append(latest[key]!)
    }
    previous = latest[key]
  }
  return modules.filter { $0.mappings.contains { $0.isExecutable } }
}
