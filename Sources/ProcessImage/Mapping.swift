// One mapping of a target's address space.
// SPDX-License-Identifier: Apache-2.0

/// A mapping, as a line of `/proc/PID/maps` describes it (proc(5)).
public struct Mapping: Hashable, Sendable {
  public var start: Address
  /// The first address after it.
  public var end: Address
  public var isReadable: Bool
  public var isWritable: Bool
  public var isExecutable: Bool
  public var isShared: Bool
  /// Offset in the mapped file, in bytes.
  public var fileOffset: UInt64
  public var device: String
  public var inode: UInt64
  /// The path of the file, a kernel name such as `[stack]`, or empty for anonymous memory. Without a ` (deleted)` mark.
  public var name: String
  public var isDeleted: Bool

  public init(
    start: Address, end: Address, isReadable: Bool, isWritable: Bool, isExecutable: Bool, isShared: Bool,
    fileOffset: UInt64 = 0, device: String = "00:00", inode: UInt64 = 0, name: String = "", isDeleted: Bool = false
  ) {
    self.start = start
    self.end = end
    self.isReadable = isReadable
    self.isWritable = isWritable
    self.isExecutable = isExecutable
    self.isShared = isShared
    self.fileOffset = fileOffset
    self.device = device
    self.inode = inode
    self.name = name
    self.isDeleted = isDeleted
  }

  /// Its length in bytes.
  public var size: UInt64 { end - start }

  public func contains(_ address: Address) -> Bool { address >= start && address < end }
}
