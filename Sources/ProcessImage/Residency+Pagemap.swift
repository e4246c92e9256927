// The state of pages by the words of /proc/PID/pagemap (admin-guide/mm/pagemap.rst), for kernels without PAGEMAP_SCAN.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Reads a word for each page of a process.
struct PagemapWords {
  private static let present: UInt64 = 1 << 63
  private static let swapped: UInt64 = 1 << 62
  private static let file: UInt64 = 1 << 61
  private static let guarded: UInt64 = 1 << 58
  /// Mapped here and nowhere else; the page of zeros never is.
  private static let exclusive: UInt64 = 1 << 56
  private static let frame: UInt64 = 1 << 55 - 1
  /// A mapping above this many bytes is a reservation whose words alone would take gigabytes.
  private static let largestMapping: UInt64 = 1 << 38

  private let pagemap: Int32

  init(_ pagemap: Int32) { self.pagemap = pagemap }

  /// The pages that are present or swapped out, in address order, and whether zero pages could be told apart and no mapping was left
  /// out; nil where nothing could be read.
  func read(_ mappings: [Mapping]) -> (pages: [FoundPages], isExact: Bool)? {
    // Frame numbers are for the privileged; all others get zeros.
    let zeroFrame = Self.zeroFrame()
    var found: [FoundPages] = []
    var isExact = true
    var words = [UInt64](repeating: 0, count: Int(PageScan.byteLimit / TargetMemory.pageSize))
    var hasRead = false
    for mapping in mappings where mapping.end.rawValue >> 63 == 0 {
      if mapping.size > Self.largestMapping {
        isExact = false
        continue
      }
      var page = mapping.start.rawValue / TargetMemory.pageSize
      let end = mapping.end.rawValue / TargetMemory.pageSize
      while page < end {
        let wanted = min(words.count, Int(end - page))
        let bytes = words.withUnsafeMutableBytes { pread(pagemap, $0.baseAddress, wanted * 8, off_t(page * 8)) }
        if bytes < 0 && errno == EINTR { continue }
        guard bytes >= 8 else { break }
        hasRead = true
        for word in words.prefix(bytes / 8) {
          if word & (Self.present | Self.swapped) != 0 {
            isExact = isExact && (zeroFrame != nil || word & (Self.file | Self.exclusive | Self.swapped) != 0)
            append(page, categories(word, zeroFrame), to: &found)
          }
          page += 1
        }
      }
    }
    return hasRead || mappings.isEmpty ? (found, isExact) : nil
  }

  private func categories(_ word: UInt64, _ zeroFrame: UInt64?) -> UInt64 {
    var result = 0
    if word & Self.file != 0 { result |= MALLOW_PAGE_FILE }
    if word & Self.swapped != 0 { result |= MALLOW_PAGE_SWAPPED }
    if word & Self.guarded != 0 { result |= MALLOW_PAGE_GUARD }
    if word & Self.present != 0 {
      result |= MALLOW_PAGE_PRESENT
      if let zeroFrame, word & Self.frame == zeroFrame { result |= MALLOW_PAGE_ZERO }
    }
    return UInt64(result)
  }

  private func append(_ page: UInt64, _ categories: UInt64, to found: inout [FoundPages]) {
    let start = page * TargetMemory.pageSize
    if let last = found.last, last.end == start, last.categories == categories {
      found[found.count - 1].end += TargetMemory.pageSize
    } else {
      found.append(FoundPages(start: start, end: start + TargetMemory.pageSize, categories: categories))
    }
  }

  /// The frame of the kernel's page of zeros: the one that a page of this process has which was read and never written.
  private static func zeroFrame() -> UInt64? {
    let size = Int(TargetMemory.pageSize)
    guard let page = mmap(nil, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), page != MAP_FAILED else { return nil }
    defer { munmap(page, size) }
    guard page.load(as: UInt64.self) == 0 else { return nil }
    let descriptor = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var word: UInt64 = 0
    let position = off_t(UInt64(UInt(bitPattern: page)) / TargetMemory.pageSize * 8)
    guard pread(descriptor, &word, 8, position) == 8, word & present != 0, word & frame != 0 else { return nil }
    return word & frame
  }
}
