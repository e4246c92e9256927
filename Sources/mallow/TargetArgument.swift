// What a command looks at: a process id or the path of a core file.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import ArgumentParser
import Glibc
import ProcessImage

/// The TARGET of a command. Digits are a process id, even where a file has that name: such a file is `./123`.
enum TargetArgument: ExpressibleByArgument, CustomStringConvertible {
  case process(Int32)
  case file(String)

  init?(argument: String) {
    guard !argument.isEmpty else { return nil }
    if argument.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
      guard let process = Int32(argument) else { return nil }
      self = .process(process)
    } else {
      self = .file(argument)
    }
  }

  /// What messages call it.
  var description: String {
    switch self {
    case .process(let process): "process \(process)"
    case .file(let path): path
    }
  }

  /// Takes a snapshot of the process, which runs on, or opens the core file. Close it on the same thread.
  func open() throws -> OpenTarget {
    switch self {
    case .process(let process): return .snapshot(try snapshot(of: process))
    case .file(let path): return .core(try CoreFile(path: path))
    }
  }

  private func snapshot(of process: Int32) throws -> Snapshot {
    do {
      return try Snapshot.take(of: process)
    } catch ProcessError.noSuchProcess(process) where access("\(process)", F_OK) == 0 {
      throw Failure("There is no process \(process); for the file of that name write ./\(process).")
    }
  }
}

/// A target that was opened.
enum OpenTarget {
  case snapshot(Snapshot)
  case core(CoreFile)

  var image: any ProcessImage {
    switch self {
    case .snapshot(let snapshot): snapshot
    case .core(let core): core
    }
  }

  /// How long the process stood still; nil for a core file.
  var pauseMilliseconds: Double? {
    guard case .snapshot(let snapshot) = self else { return nil }
    return snapshot.pauseMilliseconds
  }

  /// What the report must say of how the target was read: one sentence each.
  var notes: [String] {
    switch self {
    case .snapshot(let snapshot) where snapshot.method == .copy:
      ["The process stood still while it was copied, since it could not be forked because \(snapshot.copyReason)."]
    case .snapshot: []
    case .core(let core): core.notes
    }
  }

  /// What reports call the target.
  func target(_ allocator: Target.Allocator) -> Target {
    Target(processID: image.processID, executable: image.executable, allocator: allocator)
  }

  /// Call it after the last read.
  /// - Throws: ``Failure`` where the copy of the process was killed meanwhile, so that what was read may be incomplete.
  func checkIntact() throws {
    guard case .snapshot(let snapshot) = self, !snapshot.isIntact else { return }
    throw Failure("The copy of process \(snapshot.processID) was killed while it was searched, perhaps for want of memory; try again.")
  }

  func close() {
    if case .snapshot(let snapshot) = self { snapshot.close() }
  }
}
