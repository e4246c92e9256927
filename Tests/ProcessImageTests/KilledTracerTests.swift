// Mallow killed at any moment of a snapshot: the target must run on as if nothing had happened.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ProcessImage

@Suite struct KilledTracerTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  /// Starts the snapshot loop on `target` again and again, and kills it after a random time each.
  private func killSnapshotLoops(on target: Child, rounds: Int, between: () throws -> Void) throws {
    let helper = try Helper.path()
    var random = SystemRandomNumberGenerator()
    for round in 0..<rounds {
      let loop = try Child([helper, "\(target.process)"])
      // It begins its first stop some milliseconds after its start; a snapshot takes a few.
      try eventually("the loop is at work") { loop.hasTraced(target.process) || loop.state == "Z" }
      usleep(UInt32.random(in: 0..<12000, using: &random))
      loop.send(SIGKILL)
      guard loop.wait() == .signaled(SIGKILL) else { throw TestFailure("round \(round): \(loop.readAll())") }
      try between()
    }
  }

  @Test func leavesABusyTargetRunning() throws {
    let target = try Child([try folder.compile(Targets.busy)])
    try target.expectLine("ready")
    try killSnapshotLoops(on: target, rounds: 120) { try expectProgress(target) }
    #expect(children(of: target.process) == [])
    #expect(target.state != "t" && target.state != "T")
    let live = try LiveProcess(attachingTo: target.process)
    #expect(live.threads.count == 7)
  }

  @Test(arguments: ["read", "poll", "ppoll"])
  func leavesABlockedThreadBlocked(call: String) throws {
    let target = try Child([try folder.compile(Targets.blockedAlone), call])
    try target.expectLine("ready")
    try killSnapshotLoops(on: target, rounds: 30) {
      try eventually("the target sleeps again") { target.state == "S" && children(of: target.process) == [] }
    }
    target.write("x")
    try target.expectLine("done")
    #expect(target.wait() == .exited(0))
  }
}

extension Child {
  /// Whether this process traces `target`, or did so when last looked at.
  func hasTraced(_ target: pid_t) -> Bool {
    ProcessStatus(target)?.number("TracerPid") == Int64(process)
  }
}
