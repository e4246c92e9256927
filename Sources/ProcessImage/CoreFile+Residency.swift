// What a core file holds, which stands for what was resident.
// SPDX-License-Identifier: Apache-2.0

extension CoreFile {
  /// The pages that the core holds itself: not those that it leaves to the files they were mapped from, nor untouched ones.
  public var residency: Residency { Residency(contents: memory.heldRanges) }
}

extension CoreMemory {
  /// In address order, without overlaps.
  fileprivate var heldRanges: [Range<Address>] {
    extents.flatMap { extent in
      guard case .core = extent.source else { return [Range<Address>]() }
      return touchedRanges(in: extent.range)
    }
  }
}
