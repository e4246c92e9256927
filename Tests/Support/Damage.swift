// Heaps that are damaged at random, the same way for the same seed.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

extension BuiltHeap {
  /// A small heap with a little of everything.
  public static func small(_ random: inout SeededGenerator) -> BuiltHeap {
    let built = BuiltHeap(hardened: Bool.random(using: &random), slicesPerRegion: 6)
    let stack = built.addStack([0x1000, 0x2000], allocations: 4, bytes: 400)
    _ = built.addStack([0x5000, 0x2000, 0x9000])
    var blocks: [Address] = []
    for _ in 0..<30 {
      let size = [16, 48, 96, 4096].randomElement(using: &random)!
      let withStack = size >= 96 && Bool.random(using: &random)
      blocks.append(built.allocate(UInt64(size), stack: withStack ? stack : nil))
    }
    for block in blocks where Int.random(in: 0..<3, using: &random) == 0 {
      built.free(block, to: [.free, .remote].randomElement(using: &random)!)
    }
    _ = built.allocateSpan(slices: 2, requested: 100_000, stack: stack)
    _ = built.allocateHuge(300_000)
    return built
  }

  /// Overwrites some of it: bytes, words and bits of every kind of record; some mappings and pages are lost altogether.
  public func damage(_ random: inout SeededGenerator) {
    let interesting: [UInt64] = [
      0, 1, .max, 1 << 63, 1 << 47, 0x7f00_0000_0000, 0x7f00_0001_0000, 0x7f00_0001_0010, 0x7ffe_0000_0010,
      introspection.rawValue, newestRegion.rawValue,
    ]
    let places: [(Address, UInt64)] = [
      (introspection + 16, 128), (metadata, 9000), (metadata + 65536, 4096),
      (pageTable, 6 * 64), (Address(0x7f00_0000_0000), 3 << 16), (Address(0x7ffd_0000_0000), 256),
      (Address(0x7ffc_0000_0000), 65536),
    ]
    for _ in 0..<Int.random(in: 1...12, using: &random) {
      let (start, size) = places.randomElement(using: &random)!
      let address = start + UInt64.random(in: 0..<size - 8, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: image.write(UInt8.random(in: .min ... .max, using: &random), at: address)
      case 1: image.write(interesting.randomElement(using: &random)!, at: Address(address.rawValue & ~7))
      case 2: image.write(UInt64.random(in: .min ... .max, using: &random), at: address)
      default:
        let byte = image.load(address, as: UInt8.self)!
        image.write(byte ^ 1 << UInt8.random(in: 0..<8, using: &random), at: address)
      }
    }
    if Int.random(in: 0..<8, using: &random) == 0 {
      image.unmap(at: Int.random(in: 0..<image.mappings.count, using: &random))
    }
    if Int.random(in: 0..<8, using: &random) == 0 {
      image.unreadablePages.insert(Address(places.randomElement(using: &random)!.0.rawValue & ~4095))
    }
  }
}
