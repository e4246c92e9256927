// The state of pages by the PAGEMAP_SCAN request (Linux 6.7, admin-guide/mm/pagemap.rst).
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Scans the pages of a process in small requests: during each the kernel holds up the process's own mmap and munmap calls.
struct PageScan {
  /// Bytes of mappings in one request.
  static let byteLimit: UInt64 = 8 << 20
  /// Mappings in one request.
  static let mappingLimit = 256

  private static let categories = UInt64(
    MALLOW_PAGE_FILE | MALLOW_PAGE_PRESENT | MALLOW_PAGE_SWAPPED | MALLOW_PAGE_ZERO | MALLOW_PAGE_HUGE)

  private let pagemap: Int32
  /// A kernel that does not know of guard pages refuses to be asked for them.
  private var wanted = categories | UInt64(MALLOW_PAGE_GUARD)

  init(_ pagemap: Int32) { self.pagemap = pagemap }

  /// The pages of a range that are present or swapped out, in address order; nil with `errno` where the kernel can't tell.
  mutating func scan(_ range: Range<UInt64>) -> [FoundPages]? {
    let capacity = 2048
    return withUnsafeTemporaryAllocation(of: mallow_page_region.self, capacity: capacity) { buffer in
      var found: [FoundPages] = []
      if scan(range, buffer, &found) { return found }
      guard errno == EINVAL, wanted != Self.categories else { return nil }
      wanted = Self.categories
      found = []
      return scan(range, buffer, &found) ? found : nil
    }
  }

  private func scan(
    _ range: Range<UInt64>, _ buffer: UnsafeMutableBufferPointer<mallow_page_region>, _ found: inout [FoundPages]
  ) -> Bool {
    let pageLimit = Self.byteLimit / TargetMemory.pageSize
    var start = range.lowerBound
    while start < range.upperBound {
      let count = Int(
        mallow_scan_page_states(
          pagemap, start, range.upperBound, buffer.baseAddress!, UInt64(buffer.count), pageLimit, wanted))
      if count < 0 {
        if errno == EINTR { continue }
        return false
      }
      var bytes: UInt64 = 0
      if found.isEmpty { found.reserveCapacity(count) }
      for region in buffer.prefix(count) {
        found.append(FoundPages(start: region.start, end: region.end, categories: region.categories))
        bytes += region.end - region.start
      }
      // Neither limit was met, so the whole range was walked. The kernel's own word for how far it came can be out of date.
      guard count == buffer.count || bytes >= Self.byteLimit, count > 0, buffer[count - 1].end > start else { break }
      start = buffer[count - 1].end
    }
    return true
  }

  /// The mappings as the ranges of single requests. Gaps cost nothing; large mappings are cut up. Where a mapping is vast it must be
  /// mostly empty, and larger pieces do no harm.
  static func ranges(of mappings: ArraySlice<Mapping>) -> [Range<UInt64>] {
    var ranges: [Range<UInt64>] = []
    var index = mappings.startIndex
    while index < mappings.endIndex {
      let first = mappings[index]
      // The kernel's own half of the address space can't be asked for.
      if first.end.rawValue >> 63 != 0 { break }
      if first.size > byteLimit {
        let step = max(byteLimit, first.size / 4096 & ~(TargetMemory.pageSize - 1))
        var start = first.start.rawValue
        while start < first.end.rawValue {
          let end = first.end.rawValue - start > step ? start + step : first.end.rawValue
          ranges.append(start..<end)
          start = end
        }
        index += 1
        continue
      }
      var room = byteLimit
      var count = 0
      var end = first.start.rawValue
      while index < mappings.endIndex, count < mappingLimit, mappings[index].size <= room, mappings[index].end.rawValue >> 63 == 0 {
        room -= mappings[index].size
        end = mappings[index].end.rawValue
        count += 1
        index += 1
      }
      ranges.append(first.start.rawValue..<end)
    }
    return ranges
  }
}
