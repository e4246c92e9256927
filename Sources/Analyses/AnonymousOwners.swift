// Whose anonymous memory it is, as far as can be told: the module whose variables point into it most often.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Owners of anonymous regions, by the regions' starts.
public struct AnonymousOwners: Sendable {
  public let modules: [Address: String]

  /// Nothing is known.
  public init() { modules = [:] }

  /// Looks at the resident variables of all modules of a 64-bit target. O(variables × log regions).
  public init(_ space: AddressSpace, pages: [Range<Address>], mirror: MemoryMirror) {
    let regions = space.regions.filter { $0.kind == .anonymous && $0.name.isEmpty && $0.module == nil && $0.counts.resident > 0 }
    guard let lowest = regions.first?.start.rawValue, let highest = regions.last?.end.rawValue else {
      modules = [:]
      return
    }
    var counts = [[String: Int]](repeating: [:], count: regions.count)
    for region in space.regions where region.kind == .data || region.kind == .bss {
      guard let module = region.module else { continue }
      for part in Self.parts(of: region, in: pages) {
        mirror.stream(part) { start, bytes in
          var offset = Int((8 - start.rawValue % 8) % 8)
          while offset + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            offset += 8
            if word >= lowest, word < highest, let index = Self.index(of: Address(word), in: regions) { counts[index][module, default: 0] += 1 }
          }
        }
      }
    }
    var modules: [Address: String] = [:]
    for (region, found) in zip(regions, counts) {
      // Of equally many the first by name, so that the answer is always the same.
      modules[region.start] = found.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
    }
    self.modules = modules
  }

  private static func parts(of region: AddressSpace.Region, in pages: [Range<Address>]) -> [Range<Address>] {
    let low = pages.partitionPoint { $0.upperBound <= region.start }
    return pages[low...].prefix { $0.lowerBound < region.end }.map { $0.clamped(to: region.start..<region.end) }
  }

  private static func index(of address: Address, in regions: [AddressSpace.Region]) -> Int? {
    let low = regions.partitionPoint { $0.end <= address }
    return low < regions.count && regions[low].start <= address ? low : nil
  }
}
