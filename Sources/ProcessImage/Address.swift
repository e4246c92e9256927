// Typed values for what is read from a target: an address is not a count.
// SPDX-License-Identifier: Apache-2.0

/// An address in a target's address space. It is never dereferenced here: only a ``ProcessImage`` can read it.
public struct Address: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: UInt64

  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  public static func < (a: Address, b: Address) -> Bool { a.rawValue < b.rawValue }
  /// The address `bytes` further up; wraps around at the end of the address space.
  public static func + (a: Address, bytes: UInt64) -> Address { Address(a.rawValue &+ bytes) }
  public static func - (a: Address, bytes: UInt64) -> Address { Address(a.rawValue &- bytes) }
  /// The distance in bytes from `b` up to `a`; wraps around when `b` is above `a`.
  public static func - (a: Address, b: Address) -> UInt64 { a.rawValue &- b.rawValue }

  /// `0x` and the hexadecimal digits, as in reports and JSON.
  public var description: String { "0x" + String(rawValue, radix: 16) }
}
