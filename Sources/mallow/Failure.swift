// What keeps a command from doing its work.
// SPDX-License-Identifier: Apache-2.0

/// A command could not do its work: one plain sentence on what is wrong and what to do. The exit code is 2.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
