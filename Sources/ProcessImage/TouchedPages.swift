// Which pages of a process were ever touched: huge reservations are mostly empty, and reading the rest would fill memory with zeros.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The pages of a process that are present or swapped out, by the PAGEMAP_SCAN request (Linux 6.7, admin-guide/mm/pagemap.rst), or by
/// reading /proc/PID/pagemap where the kernel does not have it.
final class TouchedPages {
  private let pagemap: Int32
  private var canScan = true

  /// - Parameter thread: a living thread of the process.
  init(thread: Int32) { pagemap = open("/proc/\(thread)/pagemap", O_RDONLY | O_CLOEXEC) }

  deinit { if pagemap >= 0 { close(pagemap) } }

  /// The touched parts of a range, in address order; all of it where that can't be told.
  func ranges(in range: Range<Address>) -> [Range<Address>] {
    guard pagemap >= 0 else { return [range] }
    if canScan {
      if let found = scan(range) { return found }
      canScan = false
    }
    return read(range)
  }

  private func scan(_ range: Range<Address>) -> [Range<Address>]? {
    var result: [Range<Address>] = []
    var start = range.lowerBound
    let capacity = 512
    return withUnsafeTemporaryAllocation(of: mallow_page_region.self, capacity: capacity) { found in
      while start < range.upperBound {
        let count = Int(mallow_scan_pages(pagemap, start.rawValue, range.upperBound.rawValue, found.baseAddress!, UInt64(capacity)))
        guard count >= 0 else { return nil }
        for region in found.prefix(count) { append(Address(region.start)..<Address(region.end), to: &result) }
        // Fewer than there was room for: the whole range was walked.
        guard count == capacity, found[count - 1].end > start.rawValue else { break }
        start = Address(found[count - 1].end)
      }
      return result
    }
  }

  private func read(_ range: Range<Address>) -> [Range<Address>] {
    var result: [Range<Address>] = []
    let pageSize = TargetMemory.pageSize
    let first = range.lowerBound.rawValue / pageSize
    let end = (range.upperBound.rawValue + pageSize - 1) / pageSize
    var page = first
    var entries = [UInt64](repeating: 0, count: 8192)
    while page < end {
      let wanted = min(entries.count, Int(end - page))
      let bytes = entries.withUnsafeMutableBytes { pread(pagemap, $0.baseAddress, wanted * 8, off_t(page * 8)) }
      guard bytes >= 8 else {
        // What can't be told counts as touched.
        append(Address(page * pageSize)..<range.upperBound, to: &result)
        break
      }
      for (index, entry) in entries.prefix(bytes / 8).enumerated() where entry >> 62 != 0 {
        let start = Address((page + UInt64(index)) * pageSize)
        append(start..<start + pageSize, to: &result)
      }
      page += UInt64(bytes / 8)
    }
    return result
  }

  private func append(_ range: Range<Address>, to result: inout [Range<Address>]) {
    if let last = result.last, last.upperBound == range.lowerBound {
      result[result.count - 1] = last.lowerBound..<range.upperBound
    } else if !range.isEmpty {
      result.append(range)
    }
  }
}
