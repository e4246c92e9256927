// The sums of /proc/PID/smaps (proc(5)), where the kernel offers nothing for single pages.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Reads the text of `/proc/PID/smaps`.
enum SmapsParser {
  private struct Sums {
    var resident, dirty, huge, swapped: UInt64
  }

  /// Runs whose sums are right for each mapping; where in it they lie is not known, so they begin at its start.
  static func runs(_ text: [UInt8], _ mappings: [Mapping]) -> [PageRun] {
    var sums: [UInt64: Sums] = [:]
    var start: UInt64?
    for line in text.split(separator: UInt8(ascii: "\n")) {
      if let mapping = MapsParser.mapping(line: line) {
        start = mapping.start.rawValue
        sums[mapping.start.rawValue] = Sums(resident: 0, dirty: 0, huge: 0, swapped: 0)
      } else if let start, let (name, bytes) = field(line) {
        switch name {
        case "Rss": sums[start]?.resident += bytes
        case "Shared_Dirty", "Private_Dirty": sums[start]?.dirty += bytes
        case "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped": sums[start]?.huge += bytes
        case "Swap": sums[start]?.swapped += bytes
        default: break
        }
      }
    }
    return mappings.flatMap { mapping in sums[mapping.start.rawValue].map { runs($0, in: mapping) } ?? [] }
  }

  private static func runs(_ sums: Sums, in mapping: Mapping) -> [PageRun] {
    let resident = min(sums.resident, mapping.size)
    let swapped = min(sums.swapped, mapping.size - resident)
    var runs: [PageRun] = []
    var offset: UInt64 = 0
    for end in Set([min(sums.dirty, resident), min(sums.huge, resident), resident]).sorted() where end > offset {
      var state: PageState = .resident
      if offset < sums.dirty { state.insert(.dirty) }
      if offset < sums.huge { state.insert(.huge) }
      runs.append(PageRun(start: mapping.start + offset, end: mapping.start + end, state: state))
      offset = end
    }
    if swapped > 0 { runs.append(PageRun(start: mapping.start + offset, end: mapping.start + offset + swapped, state: .swapped)) }
    return runs
  }

  /// A line such as `Rss:      1234 kB`, in bytes.
  private static func field(_ line: ArraySlice<UInt8>) -> (name: String, bytes: UInt64)? {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
    let digits = line[colon...].drop { $0 < UInt8(ascii: "0") || $0 > UInt8(ascii: "9") }
    var value: UInt64 = 0
    for digit in digits {
      guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { break }
      value = value &* 10 &+ UInt64(digit - UInt8(ascii: "0"))
    }
    return digits.isEmpty ? nil : (String(decoding: line[..<colon], as: UTF8.self), value &* 1024)
  }
}
