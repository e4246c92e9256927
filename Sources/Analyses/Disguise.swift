// Pointers that are more than an address, and what was found only through them.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// A form in which a block's address is kept other than as a plain word of the program's memory.
public enum Disguise: Hashable, Sendable {
  /// With bits of Swift's in it: an enum's case, a string's or an existential's flags.
  case tagged
  /// In the reference-count word of an object with weak references.
  case sideTable
  /// The address just behind the block, where no other block lies.
  case end
  /// At an address that is no multiple of its size, as in a packed structure.
  case unaligned
  /// Only the kernel has it.
  case kernel(KernelHeldWord.Holder)
}

/// How many blocks a search reached first through each form.
public struct DisguiseCounts: Hashable, Sendable {
  private var counts: [Disguise: Int] = [:]

  public init() {}

  public subscript(_ disguise: Disguise) -> Int {
    get { counts[disguise] ?? 0 }
    set { counts[disguise] = newValue == 0 ? nil : newValue }
  }

  public var isEmpty: Bool { counts.isEmpty }
}
