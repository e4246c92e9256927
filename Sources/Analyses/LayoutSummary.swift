// All that `mallow layout` shows of a process or a core file.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// An address space and its circumstances.
public struct LayoutSummary: Sendable {
  public var target: Target
  public var space: AddressSpace
  /// The kernel's own figure of resident bytes; nil for a core file.
  public var kernelResident: UInt64?
  /// Where the residency is known from; nil where it is not.
  public var source: Residency.Source?
  /// What could not be found out, and why: one sentence each.
  public var notes: [String]

  public init(
    target: Target, space: AddressSpace, kernelResident: UInt64? = nil, source: Residency.Source? = nil, notes: [String] = []
  ) {
    self.target = target
    self.space = space
    self.kernelResident = kernelResident
    self.source = source
    self.notes = notes
  }
}
