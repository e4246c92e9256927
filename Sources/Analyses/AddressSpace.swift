// The address space of a target as a person pictures it: regions from low to high addresses, each with its kind and its name.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// A target's mappings, cut into regions that have one meaning each. The regions cover the mappings exactly.
public struct AddressSpace: Sendable {
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// Machine code of a module.
    case text
    /// What a module only reads: headers, constants, tables for unwinding.
    case rodata
    /// Initialised variables of a module, those included that the loader made read-only.
    case data
    /// Variables of a module that begin as zeros.
    case bss
    /// Memory of an allocator, and what brk(2) has grown.
    case heap
    /// The main thread's stack.
    case stack
    case threadStack = "thread-stack"
    /// Strings that the kernel put on the main stack.
    case arguments, environment
    /// The auxiliary vector there.
    case auxv
    /// The kernel's code and data in user space.
    case vdso, vvar, vsyscall
    /// Any other mapping of a file.
    case file
    /// Shared memory without a file on a disk.
    case shared
    case anonymous
    /// Inaccessible pages below a stack, which catch its overflow.
    case guardPages = "guard"
    /// Inaccessible memory that is set aside for later, or that fills a module's gaps.
    case reserved
  }

  public struct Region: Hashable, Sendable {
    public var start: Address
    /// The first address after it.
    public var end: Address
    public var kind: Kind
    /// A path, a thread's name, the allocator's word for it or the kernel's; empty where there is none.
    public var name: String
    /// The path of the module that it is a part of.
    public var module: String?
    public var permissions: Permissions
    /// The thread whose stack or guard it is.
    public var threadID: Int32?
    /// Of a stack: bytes from the stack pointer to the top.
    public var usedDepth: UInt64?
    public var counts: PageCounts

    public var size: UInt64 { end - start }

    public init(
      start: Address, end: Address, kind: Kind, name: String = "", module: String? = nil, permissions: Permissions = [],
      threadID: Int32? = nil, usedDepth: UInt64? = nil, counts: PageCounts = PageCounts()
    ) {
      self.start = start
      self.end = end
      self.kind = kind
      self.name = name
      self.module = module
      self.permissions = permissions
      self.threadID = threadID
      self.usedDepth = usedDepth
      self.counts = counts
    }
  }

  /// In address order, without overlaps.
  public let regions: [Region]

  /// - Parameter regions: in address order, without overlaps.
  public init(regions: [Region]) { self.regions = regions }

  /// The region that contains an address. O(log regions).
  public func region(containing address: Address) -> Region? {
    let index = firstRegion(endingAfter: address)
    return index < regions.count && regions[index].start <= address ? regions[index] : nil
  }

  /// The regions before and after an address that is in none.
  public func neighbours(of address: Address) -> (below: Region?, above: Region?) {
    let index = firstRegion(endingAfter: address)
    return (index > 0 ? regions[index - 1] : nil, index < regions.count ? regions[index] : nil)
  }

  private func firstRegion(endingAfter address: Address) -> Int {
    regions.partitionPoint { $0.end <= address }
  }

  /// The sum of all regions.
  public var total: PageCounts {
    var total = PageCounts()
    for index in regions.indices { total += regions[index].counts }
    return total
  }
}

/// What may be done with memory.
public struct Permissions: OptionSet, Hashable, Sendable, CustomStringConvertible {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let read = Permissions(rawValue: 1)
  public static let write = Permissions(rawValue: 2)
  public static let execute = Permissions(rawValue: 4)
  public static let shared = Permissions(rawValue: 8)

  public init(_ mapping: Mapping) {
    var result: Permissions = []
    if mapping.isReadable { result.insert(.read) }
    if mapping.isWritable { result.insert(.write) }
    if mapping.isExecutable { result.insert(.execute) }
    if mapping.isShared { result.insert(.shared) }
    self = result
  }

  /// As in `/proc/PID/maps`: `rw-p`.
  public var description: String {
    Permissions.names[Int(rawValue & 15)]
  }

  private static let names = (0..<16).map { bits in
    (bits & 1 != 0 ? "r" : "-") + (bits & 2 != 0 ? "w" : "-") + (bits & 4 != 0 ? "x" : "-") + (bits & 8 != 0 ? "s" : "p")
  }
}
