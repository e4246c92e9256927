// The lines of a picture of an address space: neighbours that belong together become one.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ProcessImage

/// A line: one region, or several that are shown as one.
struct LayoutRow {
  var start, end: Address
  /// Nil where the regions of the line differ in it.
  var permissions: Permissions?
  var counts: PageCounts
  var label: LayoutLabel
  /// How many regions it stands for.
  var regions = 1
  /// Bytes between them.
  var gaps: UInt64 = 0
  /// What its regions have in common, where others like them may join.
  var group: Group?
  /// The kinds in it, in address order.
  var kinds: [AddressSpace.Kind]

  enum Group: Hashable {
    case module(String)
    /// Regions that look the same.
    case kind(AddressSpace.Kind, String)
    /// Memory without a name, accessible or not.
    case anonymous
    /// A thread's stack and the guard below it.
    case thread(Int32)
  }
}

extension LayoutRow {
  /// Anonymous memory may have gaps of so many bytes and still be shown as one.
  private static let smallGap: UInt64 = 64 << 10

  /// - Parameter folds: whether neighbours of one module, and others that belong together, become one line.
  static func rows(_ space: AddressSpace, folds: Bool) -> [LayoutRow] {
    var rows: [LayoutRow] = []
    for region in space.regions {
      let group = folds ? Self.group(of: region) : nil
      if let group, !rows.isEmpty, rows[rows.count - 1].group == group, rows[rows.count - 1].isNeighbour(region, group) {
        rows[rows.count - 1].append(region)
      } else {
        rows.append(
          LayoutRow(
            start: region.start, end: region.end, permissions: region.permissions, counts: region.counts, label: Self.label(of: region),
            group: group, kinds: [region.kind]))
      }
    }
    if folds { for index in rows.indices where rows[index].regions > 1 { rows[index].relabel() } }
    return rows
  }

  private mutating func append(_ region: AddressSpace.Region) {
    if permissions != region.permissions { permissions = nil }
    gaps += region.start - end
    counts += region.counts
    end = region.end
    regions += 1
    if !kinds.contains(region.kind) { kinds.append(region.kind) }
    if case .thread = group {
      // The stack says more than its guard.
      let guardSize = region.start - start
      label = Self.label(of: region)
      label.after += ", guard \(Self.sizeText(guardSize))"
      permissions = region.permissions
    }
  }

  private mutating func relabel() {
    switch group {
    case .module(let path):
      // A whole module needs no more than its name.
      let isWhole = kinds.count >= 3 && kinds.contains(.text)
      label = LayoutLabel(name: Self.fileName(path), after: isWhole ? "" : " " + kinds.map(\.rawValue).joined(separator: " "))
    case .kind: label.after += " × \(numberText(regions))"
    case .anonymous:
      label = LayoutLabel(
        before: kinds == [.reserved] ? "reserved" : "anonymous",
        after: " × \(numberText(regions))" + (gaps > 0 ? ", gaps \(Self.sizeText(gaps))" : ""))
    case .thread, nil: break
    }
  }

  private func isNeighbour(_ region: AddressSpace.Region, _ group: Group) -> Bool {
    switch group {
    case .anonymous: region.start - end <= Self.smallGap
    case .thread: region.start == end && kinds == [.guardPages] && region.kind == .threadStack
    case .module, .kind: region.start == end
    }
  }

  private static func group(of region: AddressSpace.Region) -> Group? {
    if let module = region.module { return .module(module) }
    switch region.kind {
    case .threadStack, .guardPages: return region.threadID.map { .thread($0) }
    case .anonymous where region.name.isEmpty, .reserved where region.name.isEmpty: return .anonymous
    case .heap, .file, .shared, .anonymous, .reserved, .vvar: return .kind(region.kind, region.name)
    default: return nil
    }
  }

  /// What a region is, in words.
  static func label(of region: AddressSpace.Region) -> LayoutLabel {
    // Cores of the kernel and of gdb do not name threads.
    let name = region.name.isEmpty ? region.threadID.map { "\($0)" } ?? "" : region.name
    switch region.kind {
    case .text, .rodata, .data, .bss:
      let isProtected = region.kind == .data && !region.permissions.contains(.write)
      return LayoutLabel(name: fileName(name), after: " \(region.kind.rawValue)\(isProtected ? " (relro)" : "")")
    case .heap: return name == "[heap]" ? LayoutLabel(before: "heap (brk)") : LayoutLabel(before: "heap: ", name: name)
    case .stack: return LayoutLabel(before: "main stack", after: region.usedDepth.map { ", \(sizeText($0)) used" } ?? "")
    case .threadStack: return LayoutLabel(before: "stack ", name: name, after: region.usedDepth.map { ", \(sizeText($0)) used" } ?? "")
    case .guardPages: return LayoutLabel(before: "guard ", name: name)
    case .auxv: return LayoutLabel(before: "auxiliary vector")
    case .arguments, .environment, .vdso, .vvar, .vsyscall: return LayoutLabel(before: region.kind.rawValue)
    case .file, .shared, .anonymous, .reserved:
      let name = fileName(region.module ?? name)
      return name.isEmpty ? LayoutLabel(before: region.kind.rawValue) : LayoutLabel(before: region.kind.rawValue + " ", name: name)
    }
  }

  private static func fileName(_ path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
    return String(path[path.index(after: slash)...])
  }

  static func sizeText(_ size: UInt64) -> String {
    var text = ByteText()
    text.appendSize(size, width: 0)
    return text.string
  }
}

/// What a line is about: a name, which is shortened where there is no room, between words that are not.
struct LayoutLabel {
  var before = ""
  var name = ""
  var after = ""

  func text(_ width: Int) -> String {
    if name.isEmpty { return before + after }
    let room = max(1, width - before.utf8.count - after.count)
    return before + (name.utf8.count > room ? name.printable.shortened(room) : name.printable) + after
  }
}
