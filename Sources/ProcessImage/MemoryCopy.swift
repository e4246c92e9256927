// A copy of a stopped process's private writable memory, for targets that can't be forked.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Copies of a process's private writable mappings. Pages that the process never touched are not read and cost nothing.
final class MemoryCopy {
  private struct Region {
    let range: Range<Address>
    let copy: UnsafeMutableRawPointer
    /// Bytes from the start that were readable.
    let size: Int
    /// Whether only what was touched was copied.
    let isSparse: Bool
  }

  private var regions: [Region] = []
  /// The parts of anonymous memory that were copied, in address order.
  private var touched: [Range<Address>] = []

  /// - Throws: ``ProcessError/failed(_:code:)`` when memory runs out.
  init(of process: LiveProcess) throws {
    let pagemap = open("/proc/\(process.memory.thread)/pagemap", O_RDONLY | O_CLOEXEC)
    defer { if pagemap >= 0 { close(pagemap) } }
    for mapping in process.mappings where mapping.isReadable && mapping.isWritable && !mapping.isShared {
      let size = Int(mapping.size)
      let protection = PROT_READ | PROT_WRITE
      guard let copy = mmap(nil, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), copy != MAP_FAILED
      else { throw ProcessError.failed("Copying \(size) bytes of process \(process.processID)", code: errno) }
      // An untouched page of a file's private mapping holds the file's bytes; of any other, zeros.
      let isSparse = mapping.inode == 0 && pagemap >= 0
      let copied =
        isSparse
        ? copyTouched(mapping, to: copy, pagemap: pagemap, memory: process.memory)
        : process.memory.read(mapping.start, into: UnsafeMutableRawBufferPointer(start: copy, count: size))
      regions.append(Region(range: mapping.start..<mapping.end, copy: copy, size: copied, isSparse: isSparse))
    }
  }

  deinit {
    for region in regions { munmap(region.copy, Int(region.range.upperBound - region.range.lowerBound)) }
  }

  /// Reads copied memory, or what was not copied from the process as it is now.
  func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer, elsewhere live: TargetMemory) -> Int {
    var done = 0
    while done < buffer.count {
      let from = address + UInt64(done)
      guard from >= address else { break }
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let next = firstRegion(endingAfter: from)
      let wanted: Int
      let count: Int
      if let next, regions[next].range.contains(from) {
        let region = regions[next]
        let offset = Int(from - region.range.lowerBound)
        wanted = min(rest.count, Int(region.range.upperBound - from))
        count = max(0, min(wanted, region.size - offset))
        rest.baseAddress!.copyMemory(from: region.copy + offset, byteCount: count)
      } else {
        wanted = next.map { Int(min(UInt64(rest.count), regions[$0].range.lowerBound - from)) } ?? rest.count
        count = live.read(from, into: UnsafeMutableRawBufferPointer(rebasing: rest[..<wanted]))
      }
      done += count
      if count < wanted { break }
    }
    return done
  }

  /// The parts of a range that may hold anything but zeros, as far as it is anonymous memory that was copied; of other memory all.
  func touchedRanges(in range: Range<Address>) -> [Range<Address>] {
    guard let region = firstRegion(endingAfter: range.lowerBound), regions[region].isSparse,
      regions[region].range.lowerBound <= range.lowerBound, range.upperBound <= regions[region].range.upperBound
    else { return [range] }
    let low = touched.partitionPoint { $0.upperBound <= range.lowerBound }
    return touched[low...].prefix { $0.lowerBound < range.upperBound }.map { $0.clamped(to: range) }
  }

  private func firstRegion(endingAfter address: Address) -> Int? {
    let low = regions.partitionPoint { $0.range.upperBound <= address }
    return low < regions.count ? low : nil
  }

  /// Copies the pages that are present or swapped out (bits 63 and 62 of their word in /proc/PID/pagemap). Returns the mapping's
  /// size, or the bytes before the first page that could not be read.
  private func copyTouched(
    _ mapping: Mapping, to copy: UnsafeMutableRawPointer, pagemap: Int32, memory: TargetMemory
  ) -> Int {
    let pageSize = TargetMemory.pageSize
    let pages = Int(mapping.size / pageSize)
    var entries = [UInt64](repeating: 0, count: min(pages, 1 << 16))
    var page = 0
    while page < pages {
      let wanted = min(entries.count, pages - page)
      let position = off_t((mapping.start.rawValue / pageSize + UInt64(page)) * 8)
      let bytes = entries.withUnsafeMutableBytes { pread(pagemap, $0.baseAddress, wanted * 8, position) }
      // Where the pagemap can't be read all is copied.
      let known = bytes > 0 ? bytes / 8 : 0
      if known == 0 { for index in 0..<wanted { entries[index] = 1 << 63 } }
      let count = known == 0 ? wanted : known
      var index = 0
      while index < count {
        guard entries[index] >> 62 != 0 else {
          index += 1
          continue
        }
        let first = index
        while index < count, entries[index] >> 62 != 0 { index += 1 }
        let offset = (page + first) * Int(pageSize)
        let size = (index - first) * Int(pageSize)
        let target = UnsafeMutableRawBufferPointer(start: copy + offset, count: size)
        let done = memory.read(mapping.start + UInt64(offset), into: target)
        // What could not be read counts as touched: it is not zero.
        touched.append(mapping.start + UInt64(offset)..<(done < size ? mapping.end : mapping.start + UInt64(offset + size)))
        if done < size { return offset + done }
      }
      page += count
    }
    return Int(mapping.size)
  }
}
