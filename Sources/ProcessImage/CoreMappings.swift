// The mappings of a core file: Mallow's own cores name them, for others they are put together from segments and mapped files.
// SPDX-License-Identifier: Apache-2.0
import CLinux

struct CoreMappings {
  private(set) var mappings: [Mapping]
  private let memory: CoreMemory
  private let notes: CoreNotes

  /// Longer stretches of memory that can't be read are set apart, and shorter ones once there are too many: looking at each of
  /// their pages would take too long.
  private static let unreadableLimit: UInt64 = 1 << 30
  private var unreadableBudget: UInt64 = 1 << 34

  init(_ memory: CoreMemory, _ notes: CoreNotes) {
    self.memory = memory
    self.notes = notes
    let recorded = MapsParser.parse(notes.maps)
    if Self.isSound(recorded), !recorded.isEmpty {
      mappings = recorded
    } else {
      mappings = []
      mappings = memory.pieces.map { mapping($0) }
      nameSpecialMappings()
    }
    setUnreadableApart()
  }

  private static func isSound(_ mappings: [Mapping]) -> Bool {
    var end = Address(0)
    for mapping in mappings {
      guard mapping.start >= end, mapping.start.rawValue % 4096 == 0, mapping.size % 4096 == 0,
        mapping.end.rawValue <= 1 << 47 || mapping.start.rawValue == CoreHeaders.gatePage && mapping.size == 4096
      else { return false }
      end = mapping.end
    }
    return true
  }

  private func mapping(_ piece: CoreMemory.Piece) -> Mapping {
    let segment = piece.segment
    var result = Mapping(
      start: piece.range.lowerBound, end: piece.range.upperBound, isReadable: segment?.isReadable ?? true,
      isWritable: segment?.isWritable ?? false, isExecutable: segment?.isExecutable ?? false, isShared: false)
    guard let file = piece.file else { return result }
    result.fileOffset = file.fileOffset + (piece.range.lowerBound - file.range.lowerBound)
    result.name = file.name
    result.isDeleted = file.isDeleted
    let found = memory.fileNumbers[file.id].map { memory.mappedFiles[$0] } ?? nil
    // The core does not say; all that counts is that it is a file.
    result.inode = found?.inode ?? .max
    if segment == nil { result.isExecutable = found?.isExecutable(at: result.fileOffset) ?? false }
    // Private memory that was written to is in the core, and a shared file is not; shared anonymous memory has these names.
    let isAnonymous = ["/dev/zero", "/memfd:", "/SYSV"].contains { file.name.hasPrefix($0) }
    result.isShared = isAnonymous || file.name.hasPrefix("/dev/shm/") || result.isWritable && segment?.fileSize == 0
    return result
  }

  private mutating func nameSpecialMappings() {
    func index(of address: Address) -> Int? {
      let index = firstMapping(endingAfter: address)
      return index < mappings.count && mappings[index].contains(address) && mappings[index].name.isEmpty ? index : nil
    }
    // The program's name lies at the top of the main thread's stack.
    if let top = notes.auxiliaryVector[UInt64(AT_EXECFN)] ?? notes.auxiliaryVector[UInt64(AT_RANDOM)], let stack = index(of: Address(top)) {
      mappings[stack].name = "[stack]"
    }
    if let address = notes.auxiliaryVector[UInt64(AT_SYSINFO_EHDR)], let vdso = index(of: Address(address)) {
      mappings[vdso].name = "[vdso]"
      // The kernel's data for it lies right below.
      var below = vdso - 1
      while below >= 0, mappings[below].end == mappings[below + 1].start, mappings[below].name.isEmpty, !mappings[below].isWritable {
        mappings[below].name = "[vvar]"
        below -= 1
      }
    }
    if let gate = index(of: Address(CoreHeaders.gatePage)) { mappings[gate].name = "[vsyscall]" }
    nameHeap()
  }

  /// The heap of brk(2) begins within the kernel's random distance of the program's end; nothing else lies between.
  private mutating func nameHeap() {
    let distance: UInt64 = 1 << 31
    guard let code = programHeaders, let first = mappings.firstIndex(where: { $0.contains(code) }), !mappings[first].name.isEmpty,
      let last = mappings.lastIndex(where: { $0.name == mappings[first].name })
    else { return }
    var next = last + 1
    // The program's bss comes first, where it has one beyond its data's last page.
    if next < mappings.count, mappings[next].start == mappings[last].end, mappings[next].name.isEmpty,
      next + 1 < mappings.count, mappings[next + 1].name.isEmpty, mappings[next + 1].start - mappings[last].end < distance
    {
      next += 1
    }
    guard next < mappings.count, mappings[next].name.isEmpty, mappings[next].isWritable, mappings[next].start != mappings[last].end,
      mappings[next].start - mappings[last].end < distance
    else { return }
    mappings[next].name = "[heap]"
  }

  private var programHeaders: Address? { notes.auxiliaryVector[UInt64(AT_PHDR)].map { Address($0) } }

  /// The path of the program: that of the file in which the kernel showed it its own headers.
  var executable: String {
    let addresses = [UInt64(AT_PHDR), UInt64(AT_ENTRY)].compactMap { notes.auxiliaryVector[$0] }
    for address in addresses {
      let index = firstMapping(endingAfter: Address(address))
      if index < mappings.count, mappings[index].contains(Address(address)), mappings[index].name.hasPrefix("/") {
        return mappings[index].name
      }
    }
    return ""
  }

  private func firstMapping(endingAfter address: Address) -> Int {
    mappings.partitionPoint { $0.end <= address }
  }

  private mutating func setUnreadableApart() {
    var result: [Mapping] = []
    result.reserveCapacity(mappings.count)
    for mapping in mappings {
      var rest = mapping
      if mapping.isReadable {
        for gap in unreadable(in: mapping) {
          if rest.start < gap.lowerBound { result.append(rest.cut(to: rest.start..<gap.lowerBound)) }
          var apart = rest.cut(to: gap)
          apart.isReadable = false
          result.append(apart)
          rest = rest.cut(to: gap.upperBound..<rest.end)
        }
      }
      if rest.start < rest.end { result.append(rest) }
    }
    mappings = result
  }

  /// The stretches of a mapping that the core does not have and that are too long to look at.
  private mutating func unreadable(in mapping: Mapping) -> [Range<Address>] {
    var result: [Range<Address>] = []
    var start = mapping.start
    var index = memory.firstExtent(endingAfter: start)
    func isKnown(_ source: CoreMemory.Source) -> Bool { source != .missing && (source != .zero || mapping.inode == 0) }
    while start < mapping.end {
      while index < memory.extents.count, memory.extents[index].range.lowerBound < mapping.end, !isKnown(memory.extents[index].source) {
        index += 1
      }
      let isMore = index < memory.extents.count && memory.extents[index].range.lowerBound < mapping.end
      let end = isMore ? max(start, memory.extents[index].range.lowerBound) : mapping.end
      let size = end - start
      if size > 0, size > Self.unreadableLimit || size > unreadableBudget {
        result.append(start..<end)
      } else {
        unreadableBudget -= size
      }
      guard isMore else { break }
      start = min(memory.extents[index].range.upperBound, mapping.end)
      index += 1
    }
    return result
  }
}

extension Mapping {
  /// The part of it in a range that lies inside.
  fileprivate func cut(to range: Range<Address>) -> Mapping {
    var part = self
    if inode != 0 { part.fileOffset += range.lowerBound - start }
    part.start = range.lowerBound
    part.end = range.upperBound
    return part
  }
}
