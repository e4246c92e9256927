// Pointers that a search decoded, in words.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ProcessImage

extension DisguiseCounts {
  /// `12 tagged Swift pointers, 3 addresses that only epoll holds`; nil where all pointers were plain.
  var text: String? {
    var parts: [String] = []
    func add(_ disguise: Disguise, _ singular: String, _ plural: String) {
      if self[disguise] > 0 { parts.append(countText(self[disguise], singular, plural)) }
    }
    add(.tagged, "tagged Swift pointer", "tagged Swift pointers")
    add(.sideTable, "side table of an object with weak references", "side tables of objects with weak references")
    add(.end, "address just behind a block", "addresses just behind a block")
    add(.unaligned, "unaligned address", "unaligned addresses")
    for (holder, name) in [(KernelHeldWord.Holder.epoll, "epoll"), (.timer, "a timer"), (.ioUring, "io_uring")] {
      add(.kernel(holder), "address that only \(name) holds", "addresses that only \(name) holds")
    }
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }
}

/// The same in JSON.
struct DisguisePart: Encodable {
  var tagged: Int
  var sideTables: Int
  var ends: Int
  var unaligned: Int
  var epoll: Int
  var timers: Int
  var ioUring: Int

  init(_ counts: DisguiseCounts) {
    tagged = counts[.tagged]
    sideTables = counts[.sideTable]
    ends = counts[.end]
    unaligned = counts[.unaligned]
    epoll = counts[.kernel(.epoll)]
    timers = counts[.kernel(.timer)]
    ioUring = counts[.kernel(.ioUring)]
  }
}
