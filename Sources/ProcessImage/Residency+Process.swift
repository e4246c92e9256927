// The residency of a process, from the best of the sources that the kernel offers.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

extension Residency {
  /// Finds out the state of every page of a process. The process need not be stopped, but then pages come and go meanwhile.
  /// - Parameters:
  ///   - process: its id, or that of a living thread where the main thread has ended.
  ///   - mappings: its mappings in address order.
  /// - Throws: ``ProcessError`` where the process has ended or may not be examined.
  public init(process: Int32, mappings: [Mapping]) throws(ProcessError) {
    let pagemap = open("/proc/\(process)/pagemap", O_RDONLY | O_CLOEXEC)
    defer { if pagemap >= 0 { close(pagemap) } }
    if pagemap >= 0 {
      let scan = ParallelPageScan(pagemap)
      scan.add(PageScan.ranges(of: mappings[...]))
      if let found = scan.finish() {
        self.init(runs: Self.runs(found, mappings), source: .pageScan)
        return
      }
      if errno == ESRCH { throw .ended(process) }
      if let (found, isExact) = PagemapWords(pagemap).read(mappings) {
        self.init(runs: Self.runs(found, mappings), source: .pagemap, isExact: isExact)
        return
      }
    }
    guard let text = ProcFiles.read("/proc/\(process)/smaps") else {
      throw ProcessCheck.refusal(of: process, thread: process, code: errno)
    }
    if text.isEmpty { throw .ended(process) }
    self.init(runs: SmapsParser.runs(text, mappings), source: .smaps, isExact: false)
  }

  /// Cuts what was found at the ends of mappings, and gives each piece the state that its mapping makes of it.
  static func runs(_ found: [FoundPages], _ mappings: [Mapping]) -> [PageRun] {
    var runs: [PageRun] = []
    runs.reserveCapacity(found.count)
    var index = 0
    for pages in found {
      var start = pages.start
      while start < pages.end {
        while index < mappings.count, mappings[index].end.rawValue <= start { index += 1 }
        guard index < mappings.count, mappings[index].start.rawValue < pages.end else { break }
        start = max(start, mappings[index].start.rawValue)
        let end = min(pages.end, mappings[index].end.rawValue)
        let state = pages.state(in: mappings[index])
        if !state.isEmpty {
          // A chunk's end may have cut a run in two.
          if let last = runs.last, last.end.rawValue == start, last.state == state, last.end != mappings[index].start {
            runs[runs.count - 1].end = Address(end)
          } else {
            runs.append(PageRun(start: Address(start), end: Address(end), state: state))
          }
        }
        start = end
      }
    }
    return runs
  }
}

/// Neighbouring pages with equal facts, as the kernel tells them.
struct FoundPages {
  var start, end: UInt64
  /// `MALLOW_PAGE_…`.
  var categories: UInt64

  func state(in mapping: Mapping) -> PageState {
    func has(_ category: Int) -> Bool { categories & UInt64(category) != 0 }
    if has(MALLOW_PAGE_GUARD) { return .guarded }
    if has(MALLOW_PAGE_ZERO) { return .zero }
    if has(MALLOW_PAGE_PRESENT) {
      guard mapping.countsAsResident else { return [] }
      var state: PageState = .resident
      if !has(MALLOW_PAGE_FILE) || mapping.isSharedMemory { state.insert(.dirty) }
      if has(MALLOW_PAGE_HUGE) { state.insert(.huge) }
      return state
    }
    return has(MALLOW_PAGE_SWAPPED) ? .swapped : []
  }
}

extension Mapping {
  /// The kernel's data for the vdso are pages without an owner, and huge pages that were set aside have a count of their own.
  var countsAsResident: Bool { name.isEmpty || !name.hasPrefix("[vvar") && !name.hasPrefix("/anon_hugepage") }

  /// Shared memory that no file on a disk stands behind: anonymous, System V, POSIX, or a memory file.
  public var isSharedMemory: Bool {
    guard isShared else { return false }
    return name.isEmpty || name.hasPrefix("/dev/zero") || name.hasPrefix("/SYSV") || name.hasPrefix("/memfd:") || name.hasPrefix("/dev/shm/")
  }
}
