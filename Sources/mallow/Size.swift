// Sizes on the command line.
// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// A number of bytes: a plain number, or one with K, M, G or T for powers of 1,024.
struct Size: ExpressibleByArgument, Equatable {
  let bytes: UInt64

  init?(argument: String) {
    let units: [Character: UInt64] = ["K": 10, "M": 20, "G": 30, "T": 40]
    let shift = argument.last.flatMap { units[Character($0.uppercased())] }
    guard let number = UInt64(shift == nil ? argument[...] : argument.dropLast()) else { return nil }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << (shift ?? 0))
    guard !overflow, bytes > 0, bytes <= 1 << 40 else { return nil }
    self.bytes = bytes
  }
}
