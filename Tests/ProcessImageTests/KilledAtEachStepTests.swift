// Mallow killed at each system call of a snapshot in turn.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Foundation
import Testing

@testable import ProcessImage

@Suite struct KilledAtEachStepTests {
  private let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  @Test func leavesABlockedTargetBlocked() throws {
    let target = try Child([try folder.compile(Targets.blockedAlone), "ppoll"])
    try target.expectLine("ready")
    try killAtEachStep(on: target) { target.state == "S" }
    target.write("x")
    try target.expectLine("done")
    #expect(target.wait() == .exited(0))
  }

  @Test func leavesABusyTargetBusy() throws {
    let target = try Child([try folder.compile(Targets.busy), "alone"])
    let address = Address(try #require(target.readLine().flatMap { UInt64($0, radix: 16) }))
    let memory = TargetMemory(thread: target.process)
    var last: UInt64 = 0
    try killAtEachStep(on: target) {
      let progress = memory.load(address, as: UInt64.self) ?? 0
      guard target.state == "R", progress > last + 2 else { return false }
      last = progress
      return true
    }
  }

  private func killAtEachStep(on target: Child, isWell: () throws -> Bool) throws {
    let helper = try Helper.path()
    // Where the second snapshot begins.
    var starts: [Int] = []
    try kill(try Child([helper, "\(target.process)"])) { step, registers in
      if registers.rdi == UInt64(MALLOW_PTRACE_SEIZE) { starts.append(step) }
      return starts.count == 4
    }
    let steps = try #require(starts.last)
    #expect(steps > 60)
    for last in 0...steps {
      try kill(try Child([helper, "\(target.process)"])) { step, _ in step == last }
      try eventually("killed at step \(last) of \(steps), the target is well and has no child") {
        guard try isWell() else { return false }
        return children(of: target.process) == []
      }
    }
  }

  /// Runs the snapshot loop until `isTime`, which is asked at each entry to and exit from a system call that does anything to
  /// another process, and kills it there.
  private func kill(_ loop: Child, when isTime: (_ step: Int, _ registers: user_regs_struct) -> Bool) throws {
    let tracee = Tracee(thread: loop.process)
    guard tracee.seize(options: Int32(MALLOW_TRACE_SYSGOOD)) == 0 else { throw TestFailure("can't trace the loop") }
    tracee.interrupt()
    let deadline = monotonicNanoseconds() + 30_000_000_000
    var step = 0
    while let status = try tracee.wait(process: loop.process, deadline: deadline) {
      switch status {
      case .exited(let code):
        throw TestFailure("step \(step): the loop ended with \(code): \(loop.readAll())")
      case .killed:
        return
      case .signal(let signal):
        tracee.resumeToSystemCall(signal: signal)
      case .systemCall:
        if let registers = tracee.registers(), let call = registers.systemCall,
          call == Int(SYS_ptrace) || call == Int(SYS_process_vm_writev)
        {
          if isTime(step, registers) { loop.send(SIGKILL) }
          step += 1
        }
        tracee.resumeToSystemCall()
      case .stop, .event:
        tracee.resumeToSystemCall()
      }
    }
  }
}
