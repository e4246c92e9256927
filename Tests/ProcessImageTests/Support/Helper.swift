// Finds the helper program that is built beside the tests.
// SPDX-License-Identifier: Apache-2.0
import Foundation

@testable import ProcessImage

enum Helper {
  /// The path of the program that takes snapshots in a loop.
  static func path() throws -> String {
    let own = Address(UInt64(UInt(bitPattern: #dsohandle)))
    guard let module = MapsParser.parse(ProcFiles.read("/proc/self/maps") ?? []).first(where: { $0.contains(own) }) else {
      throw TestFailure("the tests have no path")
    }
    let folder = URL(fileURLWithPath: module.name).deletingLastPathComponent()
    let helper = folder.appendingPathComponent("SnapshotLoop").path
    guard FileManager.default.isExecutableFile(atPath: helper) else { throw TestFailure("\(helper) is missing") }
    return helper
  }

  /// A copy where any user may run it.
  static func copy(into folder: TemporaryFolder) throws -> String {
    let target = folder.path + "/SnapshotLoop"
    // By another process: a file that this one writes may be open in a child that another test is just forking, and could not be executed.
    guard try Child(["/bin/cp", try path(), target]).wait() == .exited(0) else { throw POSIXError(.EIO) }
    chmod(folder.path, 0o755)
    chmod(target, 0o755)
    return target
  }
}
