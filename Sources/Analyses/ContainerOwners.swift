// Memory of C++ containers, told by the object that owns it (libstdc++: basic_string.h, stl_vector.h, hashtable.h).
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage

/// Recognises strings, vectors and hash tables by the words that follow their first pointer.
struct ContainerOwners {
  private let heap: Heap
  private let mirror: MemoryMirror

  init(_ heap: Heap) {
    self.heap = heap
    mirror = heap.mirror
  }

  /// Labels a block, and what belongs to it, if the word at `address` is the first of an owner of it.
  /// - Parameter word: the block's start, which lies at `address`.
  func label(_ word: UInt64, at address: Address, _ block: BlockIndex, _ labels: inout BlockLabels) -> Bool {
    guard let second = mirror.word(address + 8), let third = mirror.word(address + 16) else { return false }
    let size = heap.usableSize(of: block)
    if isString(word, length: second, capacity: third, size) {
      labels.set(.container("std::string buffer"), for: block)
      return true
    }
    if isVector(word, end: second, limit: third, size), !points(mirror.word(address - 8), into: word, size),
      !points(mirror.word(address + 24), into: word, size)
    {
      labels.set(.container("std::vector buffer"), for: block)
      return true
    }
    return labelHashTable(buckets: word, count: second, first: third, at: address, block, &labels)
  }

  /// A string: characters, length, capacity; a zero byte ends it. Up to 15 characters lie in the string itself.
  private func isString(_ start: UInt64, length: UInt64, capacity: UInt64, _ size: UInt64) -> Bool {
    guard capacity > 15, length <= capacity, capacity < size, size - capacity <= max(32, size / 4),
      mirror.load(Address(start + length), as: UInt8.self) == 0
    else { return false }
    return length == 0 || mirror.load(Address(start), as: UInt8.self) != 0
  }

  /// A vector: start, end of the elements, end of the room. Three more such pointers belong to a stream's buffer.
  private func isVector(_ start: UInt64, end: UInt64, limit: UInt64, _ size: UInt64) -> Bool {
    limit > start && limit - start <= size && end >= start && end <= limit && size - (limit - start) <= max(32, size / 4)
  }

  private func points(_ word: UInt64?, into start: UInt64, _ size: UInt64) -> Bool { word.map { $0 &- start <= size } ?? false }

  /// A hash table: buckets, their count, first node, count of nodes, largest load (a float, 1 unless it is set), when to grow. A
  /// node: next, value. The list has as many nodes as the table says.
  private func labelHashTable(
    buckets: UInt64, count: UInt64, first: UInt64, at address: Address, _ block: BlockIndex, _ labels: inout BlockLabels
  ) -> Bool {
    guard count > 1, count <= heap.usableSize(of: block) / 8, let nodes = mirror.word(address + 24), nodes <= 1 << 40,
      mirror.word(address + 32).map({ $0 & 0xffff_ffff == 0x3f80_0000 }) == true, (nodes == 0) == (first == 0)
    else { return false }
    var members: [BlockIndex] = []
    var next = first
    while next != 0, members.count < nodes {
      guard let node = heap.block(containing: Address(next)), heap.address(of: node).rawValue == next else { return false }
      members.append(node)
      next = mirror.word(Address(next)) ?? 0
    }
    guard next == 0, members.count == nodes else { return false }
    let node = labels.number(of: .container("std::unordered_map or set node"))
    for member in members { labels.set(node, for: member) }
    labels.set(.container("std::unordered_map or set buckets"), for: block)
    return true
  }
}
