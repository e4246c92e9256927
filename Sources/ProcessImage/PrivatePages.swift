// Which pages of a file's private mapping are no longer the file's.
// SPDX-License-Identifier: Apache-2.0
import Glibc

enum PrivatePages {
  /// The parts of a range whose pages were written to since they were mapped: those present or swapped out (bits 63 and 62 of their word in
  /// /proc/PID/pagemap) that are not a file's (bit 61). All of it where that can't be told.
  /// - Parameter pagemap: a descriptor of that file, or -1.
  static func ranges(in range: Range<Address>, pagemap: Int32) -> [Range<Address>] {
    let pageSize = TargetMemory.pageSize
    var result: [Range<Address>] = []
    var page = range.lowerBound.rawValue / pageSize
    let end = range.upperBound.rawValue / pageSize
    var entries = [UInt64](repeating: 0, count: Int(min(end - page, 8192)))
    while page < end {
      let wanted = min(entries.count, Int(end - page))
      let bytes = entries.withUnsafeMutableBytes { pread(pagemap, $0.baseAddress, wanted * 8, off_t(page * 8)) }
      guard bytes >= 8 else {
        result.append(Address(page * pageSize)..<range.upperBound)
        break
      }
      for (index, entry) in entries.prefix(bytes / 8).enumerated() where entry >> 62 != 0 && entry >> 61 & 1 == 0 {
        let start = Address((page + UInt64(index)) * pageSize)
        if let last = result.last, last.upperBound == start {
          result[result.count - 1] = last.lowerBound..<start + pageSize
        } else {
          result.append(start..<start + pageSize)
        }
      }
      page += UInt64(bytes / 8)
    }
    return result
  }
}
