// The report of `mallow layout` on an ELF file, in text and JSON.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ProcessImage
import Symbols

struct FileLayoutText {
  let layout: FileLayout
  let header: ELFFile
  let style: Style

  var lines: [String] {
    let name = header.path.split(separator: "/").last.map(String.init) ?? header.path
    var lines = style.title(name, header.format)
    let width = max(8, (layout.regions.last.map { String($0.end, radix: 16).count } ?? 0))
    lines.append(style.paint("address".aligned(width) + " perm   size   offset  what", .heading))
    var previous: UInt64?
    for region in layout.regions {
      if let previous, region.start > previous, region.start & ~4095 > previous {
        lines.append(style.paint(String(repeating: " ", count: width + 5) + size(region.start - previous) + "           gap", .faint))
      }
      let kind = region.kind.rawValue + (region.isReadOnlyAfterRelocation ? ", read-only after relocation" : "")
      let offset = region.fileOffset.map { String($0, radix: 16) } ?? "zeros"
      lines.append(
        "\(String(region.start, radix: 16).aligned(width)) \(region.permissions)\(size(region.end - region.start)) \(offset.aligned(8))  \(kind)")
      lines += sections(region.sections, indentation: width + 23)
      previous = region.end
    }
    lines.append("")
    lines += facts
    lines += style.section("Note", layout.notes.flatMap { $0.printable.wrapped(style.width - 9) })
    return lines
  }

  private var facts: [String] {
    var lines: [String] = []
    if let interpreter = header.interpreter { lines.append(style.section("Loader", interpreter.printable.shortened(style.width - 9))) }
    lines.append(style.section("Entry", "0x" + String(header.entry, radix: 16)))
    if let threadLocal = layout.threadLocal {
      let zeros = threadLocal.memorySize - min(threadLocal.fileSize, threadLocal.memorySize)
      lines.append(
        style.section(
          "TLS", "\(byteText(threadLocal.memorySize)) for each thread, \(byteText(zeros)) of it zeros, aligned to \(threadLocal.alignment)"))
      lines += sections(threadLocal.sections, indentation: 9)
    }
    if let isExecutable = layout.isStackExecutable {
      lines.append(style.section("Stack", isExecutable ? "executable" : "not executable"))
    } else if !layout.regions.isEmpty {
      lines.append(style.section("Stack", "not said, which makes it executable on some processors"))
    }
    if let buildID = header.buildID { lines.append(style.section("Build", buildID)) }
    if !layout.unloaded.isEmpty {
      let total = layout.unloaded.reduce(UInt64(0)) { $0 &+ $1.size }
      let names = layout.unloaded.map(\.name).joined(separator: " ").printable.wrapped(style.width - 9)
      lines.append(style.section("Not", "loaded: \(byteText(total)) in \(countText(layout.unloaded.count, "section"))"))
      lines += names.prefix(4).map { String(repeating: " ", count: 9) + $0.shortened(style.width - 9) }
    }
    return lines
  }

  private func size(_ size: UInt64) -> String { " " + LayoutRow.sizeText(size).aligned(6) }

  private func sections(_ names: [String], indentation: Int) -> [String] {
    names.joined(separator: " ").printable.wrapped(style.width - indentation).map {
      style.paint(String(repeating: " ", count: indentation) + $0.shortened(style.width - indentation), .faint)
    }
  }
}

struct FileLayoutDocument: Encodable {
  struct Region: Encodable {
    var start, end, kind, permissions: String
    var virtual: UInt64
    var fileOffset: UInt64?
    var relro: Bool
    var sections: [String]
  }

  struct ThreadLocal: Encodable {
    var start: String
    var fileSize, memorySize, alignment: UInt64
    var sections: [String]
  }

  struct Section: Encodable {
    var name: String
    var size: UInt64
  }

  var schema = Reports.schema
  var command = "layout"
  var target: TargetPart
  var format: String
  var entry: String
  var interpreter: String?
  var buildID: String?
  var regions: [Region]
  var threadLocal: ThreadLocal?
  var stackExecutable: Bool?
  var unloaded: [Section]
  var notes: [String]

  init(_ layout: FileLayout, _ header: ELFFile) {
    target = TargetPart(Target(processID: 0, executable: header.path, allocator: .unknown))
    format = header.format
    entry = Address(header.entry).description
    interpreter = header.interpreter
    buildID = header.buildID
    regions = layout.regions.map {
      Region(
        start: Address($0.start).description, end: Address($0.end).description, kind: $0.kind.rawValue,
        permissions: $0.permissions.description, virtual: $0.end - $0.start, fileOffset: $0.fileOffset,
        relro: $0.isReadOnlyAfterRelocation, sections: $0.sections)
    }
    threadLocal = layout.threadLocal.map {
      ThreadLocal(
        start: Address($0.start).description, fileSize: $0.fileSize, memorySize: $0.memorySize, alignment: $0.alignment, sections: $0.sections)
    }
    stackExecutable = layout.isStackExecutable
    unloaded = layout.unloaded.map { Section(name: $0.name, size: $0.size) }
    notes = layout.notes
  }
}
