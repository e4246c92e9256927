// Which pages of a target are in memory, which are swapped out, and which were never touched.
// SPDX-License-Identifier: Apache-2.0

/// What is known of a page's memory. A page in no state was never touched, or its file's contents are not mapped in.
public struct PageState: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// In memory, and counted by the kernel in the process's resident size.
  public static let resident = PageState(rawValue: 1)
  /// Resident, and nowhere else: a written private page, or shared memory without a file. The kernel can only swap it out. Written
  /// pages of shared files do not count, since the kernel writes these back.
  public static let dirty = PageState(rawValue: 2)
  public static let swapped = PageState(rawValue: 4)
  /// Resident as part of a huge page.
  public static let huge = PageState(rawValue: 8)
  /// Read but never written: mapped to the kernel's page of zeros, which is not counted as resident.
  public static let zero = PageState(rawValue: 16)
  /// Made inaccessible without a mapping of its own (MADV_GUARD_INSTALL).
  public static let guarded = PageState(rawValue: 32)
}

/// Neighbouring pages in the same state.
public struct PageRun: Hashable, Sendable {
  public var start: Address
  /// The first address after it.
  public var end: Address
  public var state: PageState

  public init(start: Address, end: Address, state: PageState) {
    self.start = start
    self.end = end
    self.state = state
  }
}

/// How much of a range is in which state, in bytes. A page that is only partly in the range counts with that part, so that the counts
/// of adjoining ranges add up.
public struct PageCounts: Hashable, Sendable {
  public var size: UInt64 = 0
  public var resident: UInt64 = 0
  public var dirty: UInt64 = 0
  public var swapped: UInt64 = 0
  public var huge: UInt64 = 0
  public var zero: UInt64 = 0
  public var guarded: UInt64 = 0

  public init() {}

  /// Bytes whose page has no state: never touched, or of a file and not mapped in.
  public var untouched: UInt64 { size &- resident &- swapped &- zero &- guarded }

  public static func += (a: inout PageCounts, b: PageCounts) {
    a.size &+= b.size
    a.resident &+= b.resident
    a.dirty &+= b.dirty
    a.swapped &+= b.swapped
    a.huge &+= b.huge
    a.zero &+= b.zero
    a.guarded &+= b.guarded
  }

  mutating func add(_ bytes: UInt64, _ state: PageState) {
    if state.contains(.resident) { resident += bytes }
    if state.contains(.dirty) { dirty += bytes }
    if state.contains(.swapped) { swapped += bytes }
    if state.contains(.huge) { huge += bytes }
    if state.contains(.zero) { zero += bytes }
    if state.contains(.guarded) { guarded += bytes }
  }
}

/// The state of every page of a target at one moment.
///
/// On a stopped process the resident bytes of all mappings add up to the kernel's own figure (`VmRSS`), to the page.
public struct Residency: Sendable {
  /// Where it is known from, best first.
  public enum Source: String, Sendable {
    /// The PAGEMAP_SCAN request.
    case pageScan
    /// The words of /proc/PID/pagemap: huge pages are not told apart.
    case pagemap
    /// The sums in /proc/PID/smaps: right for whole mappings, while the places within them are made up.
    case smaps
    /// A core file: what it holds counts as resident.
    case contents
  }

  public let source: Source
  /// Whether zero pages could be told from resident ones, and every mapping could be looked at.
  public let isExact: Bool
  /// In address order, without overlaps; none crosses a mapping's end.
  public let runs: [PageRun]

  /// - Parameter runs: in address order, without overlaps.
  public init(runs: [PageRun], source: Source, isExact: Bool = true) {
    self.runs = runs
    self.source = source
    self.isExact = isExact
  }

  /// The residency of a core file: what it holds.
  /// - Parameter contents: in address order, without overlaps.
  public init(contents: [Range<Address>]) {
    self.init(
      runs: contents.map { PageRun(start: $0.lowerBound, end: $0.upperBound, state: .resident) }, source: .contents)
  }

  /// How much of a range is in which state. O(log runs + runs in the range).
  public func counts(in range: Range<Address>) -> PageCounts {
    var counts = PageCounts()
    counts.size = range.upperBound - range.lowerBound
    forEachRun(in: range) { counts.add($1, $2) }
    return counts
  }

  /// A bit for each page that `range` touches, from that of its lowest address on, lowest bit first: 1 where it is resident.
  public func residentBitmap(in range: Range<Address>, pageSize: UInt64 = 4096) -> [UInt64] {
    let first = range.lowerBound.rawValue / pageSize
    let pages = range.isEmpty ? 0 : Int((range.upperBound.rawValue - 1) / pageSize - first + 1)
    var bitmap = [UInt64](repeating: 0, count: (pages + 63) / 64)
    forEachRun(in: range) { start, size, state in
      guard state.contains(.resident) else { return }
      for page in start.rawValue / pageSize...(start.rawValue + size - 1) / pageSize {
        let bit = Int(page - first)
        bitmap[bit / 64] |= 1 << UInt64(bit % 64)
      }
    }
    return bitmap
  }

  public func isResident(_ address: Address) -> Bool {
    let index = firstRun(endingAfter: address)
    return index < runs.count && runs[index].start <= address && runs[index].state.contains(.resident)
  }

  /// The pages around an address that can be read without a fault, and so without a change of what is resident; nil where its own can't.
  public func faultFreeRange(around address: Address) -> Range<Address>? {
    func isMapped(_ run: PageRun) -> Bool { !run.state.isDisjoint(with: [.resident, .zero]) }
    let index = firstRun(endingAfter: address)
    guard index < runs.count, runs[index].start <= address, isMapped(runs[index]) else { return nil }
    var first = index
    while first > 0, runs[first - 1].end == runs[first].start, isMapped(runs[first - 1]) { first -= 1 }
    var last = index
    while last + 1 < runs.count, runs[last + 1].start == runs[last].end, isMapped(runs[last + 1]) { last += 1 }
    return runs[first].start..<runs[last].end
  }

  /// The lowest address in a range whose page was touched, for instance the end of what a stack ever used.
  public func firstTouched(in range: Range<Address>) -> Address? {
    var index = firstRun(endingAfter: range.lowerBound)
    while index < runs.count, runs[index].start < range.upperBound {
      if !runs[index].state.isDisjoint(with: [.resident, .swapped, .zero]) { return max(runs[index].start, range.lowerBound) }
      index += 1
    }
    return nil
  }

  /// The parts of a range in one state each: start, size in bytes, state.
  func forEachRun(in range: Range<Address>, _ body: (Address, UInt64, PageState) -> Void) {
    var index = firstRun(endingAfter: range.lowerBound)
    while index < runs.count, runs[index].start < range.upperBound {
      let start = max(runs[index].start, range.lowerBound)
      let end = min(runs[index].end, range.upperBound)
      if start < end { body(start, end - start, runs[index].state) }
      index += 1
    }
  }

  private func firstRun(endingAfter address: Address) -> Int {
    runs.partitionPoint { $0.end <= address }
  }
}

/// Counts ranges one after the other, which costs no search.
public struct ResidencyCursor {
  private let runs: [PageRun]
  private var next = 0

  public init(_ residency: Residency) { runs = residency.runs }

  /// As ``Residency/counts(in:)``, for ranges in address order.
  public mutating func counts(in range: Range<Address>) -> PageCounts {
    var counts = PageCounts()
    counts.size = range.upperBound - range.lowerBound
    while next < runs.count, runs[next].end <= range.lowerBound { next += 1 }
    var index = next
    while index < runs.count, runs[index].start < range.upperBound {
      let start = max(runs[index].start, range.lowerBound)
      counts.add(min(runs[index].end, range.upperBound) - start, runs[index].state)
      index += 1
    }
    // The last of them may reach into the next range.
    next = max(next, index - 1)
    return counts
  }
}
