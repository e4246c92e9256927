// From facts to regions: labels for parts of the address space are laid over the mappings, and each piece takes the best one.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// What a part of the address space is. Labels may overlap.
struct AddressSpaceLabel {
  /// A higher one hides a lower one.
  enum Rank: Int { case heap, module, stack, allocator, startup }

  var range: Range<Address>
  var rank: Rank
  var kind: AddressSpace.Kind
  var name: String
  var module: String?
  var threadID: Int32?
}

extension AddressSpace {
  /// Cuts the mappings into regions. O((mappings + labels) log labels).
  public init(_ facts: AddressSpaceFacts) {
    let labels = facts.labels.filter { !$0.range.isEmpty }.sorted { $0.range.lowerBound < $1.range.lowerBound }
    let stackPointers = Dictionary(
      facts.threads.compactMap { thread in thread.stackPointer.map { (thread.threadID, $0) } }, uniquingKeysWith: { first, _ in first })
    let mainThread = facts.threads.first
    let modulePaths = Set(facts.modules.map(\.path))
    var regions: [Region] = []
    regions.reserveCapacity(facts.mappings.count + labels.count)
    var next = 0
    var covering: [AddressSpaceLabel] = []
    var cursor = facts.residency.map { ResidencyCursor($0) }
    for mapping in facts.mappings {
      var start = mapping.start
      while start < mapping.end {
        while next < labels.count, labels[next].range.lowerBound <= start {
          covering.append(labels[next])
          next += 1
        }
        if !covering.isEmpty { covering.removeAll { $0.range.upperBound <= start } }
        var end = mapping.end
        if next < labels.count { end = min(end, labels[next].range.lowerBound) }
        for label in covering { end = min(end, label.range.upperBound) }

        var region = Region(
          start: start, end: end, kind: .anonymous, name: mapping.name, permissions: Permissions(mapping))
        if let label = covering.max(by: { $0.rank.rawValue < $1.rank.rawValue }) {
          (region.kind, region.name, region.module, region.threadID) = (label.kind, label.name, label.module, label.threadID)
        } else {
          region.kind = Self.kind(of: mapping)
          if !mapping.name.isEmpty, modulePaths.contains(mapping.name) { region.module = mapping.name }
        }
        if region.kind == .stack, let mainThread {
          region.threadID = mainThread.threadID
          if let pointer = mainThread.stackPointer, pointer >= start, pointer < end { region.usedDepth = mapping.end - pointer }
        } else if region.kind == .threadStack, let pointer = region.threadID.flatMap({ stackPointers[$0] }), pointer >= start, pointer < end {
          region.usedDepth = end - pointer
        }
        region.counts.size = end - start
        if let counts = cursor?.counts(in: start..<end) { region.counts = counts }
        regions.append(region)
        start = end
      }
    }
    self.init(regions: regions)
  }

  /// What a mapping is by itself.
  static func kind(of mapping: Mapping) -> Kind {
    let name = mapping.name
    if name.utf8.first == UInt8(ascii: "[") {
      switch name {
      case "[heap]": return .heap
      case "[stack]": return .stack
      case "[vdso]": return .vdso
      case "[vsyscall]": return .vsyscall
      default: if name.hasPrefix("[vvar") { return .vvar }
      }
    }
    if !mapping.isReadable, !mapping.isWritable, !mapping.isExecutable { return .reserved }
    if mapping.isSharedMemory { return .shared }
    return mapping.inode != 0 || name.utf8.first == UInt8(ascii: "/") ? .file : .anonymous
  }
}

extension AddressSpaceFacts {
  var labels: [AddressSpaceLabel] {
    modules.flatMap { Self.labels($0) } + stackLabels + startupLabels
      + namedRanges.map { AddressSpaceLabel(range: $0.range, rank: .allocator, kind: $0.kind, name: $0.name) }
  }

  /// A module's segments in whole pages, in which initialised variables end and zeros begin at any byte.
  private static func labels(_ module: LoadedModule) -> [AddressSpaceLabel] {
    if module.path == "[vdso]" { return [] }
    var labels: [AddressSpaceLabel] = []
    func add(_ start: UInt64, _ end: UInt64, _ kind: AddressSpace.Kind) {
      guard start < end else { return }
      labels.append(
        AddressSpaceLabel(range: Address(start)..<Address(end), rank: .module, kind: kind, name: module.path, module: module.path))
    }
    for segment in module.segments {
      let start = module.bias &+ segment.address
      let fileEnd = start &+ segment.fileSize
      let end = (start &+ segment.memorySize &+ 4095) & ~4095
      let kind: AddressSpace.Kind = segment.isExecutable ? .text : segment.isWritable ? .data : .rodata
      if segment.memorySize > segment.fileSize {
        add(start & ~4095, segment.fileSize == 0 ? start & ~4095 : fileEnd, kind)
        add(segment.fileSize == 0 ? start & ~4095 : fileEnd, end, .bss)
      } else {
        add(start & ~4095, end, kind)
      }
    }
    return labels
  }

  /// What lies at the top of the main stack, the heap's start where it adjoins other memory, and the vdso where mappings have no names.
  private var startupLabels: [AddressSpaceLabel] {
    var labels: [AddressSpaceLabel] = []
    func add(_ range: Range<Address>?, _ kind: AddressSpace.Kind, _ name: String) {
      if let range { labels.append(AddressSpaceLabel(range: range, rank: .startup, kind: kind, name: name)) }
    }
    if let stack = mainStack {
      if stack.name != "[stack]" { labels.append(AddressSpaceLabel(range: stack.start..<stack.end, rank: .stack, kind: .stack, name: "[stack]")) }
      // Strings that the program has moved elsewhere (prctl(2), PR_SET_MM) are part of other memory.
      func inStack(_ range: Range<Address>?) -> Range<Address>? {
        range.flatMap { $0.lowerBound >= stack.start && $0.upperBound <= stack.end ? $0 : nil }
      }
      add(inStack(initialStack.arguments), .arguments, "arguments")
      add(inStack(initialStack.environment), .environment, "environment")
      add(inStack(initialStack.auxiliaryVector), .auxv, "auxiliary vector")
    }
    if let heapStart, let heap = mappings.first(where: { $0.name == "[heap]" && $0.contains(heapStart) }), heap.start < heapStart {
      // The kernel merges the heap with a program's zeros below it.
      labels.append(AddressSpaceLabel(range: heapStart..<heap.end, rank: .heap, kind: .heap, name: heap.name))
    }
    if let vdso = auxiliaryVector?.vdso, let mapping = mapping(containing: vdso), mapping.name.isEmpty {
      add(mapping.start..<mapping.end, .vdso, "[vdso]")
    }
    return labels
  }

  /// The mapping of the main stack: by its name, or by what the kernel put there.
  private var mainStack: Mapping? {
    if let named = mappings.last(where: { $0.name == "[stack]" }) { return named }
    return (auxiliaryVector?.executableName ?? auxiliaryVector?.randomBytes).flatMap { mapping(containing: $0) }
  }

  func mapping(containing address: Address) -> Mapping? { mappingIndex(containing: address).map { mappings[$0] } }

  func mappingIndex(containing address: Address) -> Int? {
    let low = mappings.partitionPoint { $0.end <= address }
    return low < mappings.count && mappings[low].contains(address) ? low : nil
  }
}
