// Stopping a running process, reading it, and letting it go as it was.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ProcessImage

@Suite struct LiveProcessTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  @Test func readsMemoryRegistersAndThreads() throws {
    let program = try folder.compile(Targets.registers)
    let child = try Child([program])
    let address = Address(try #require(child.readLine().flatMap { UInt64($0, radix: 16) }))
    let live = try LiveProcess(attachingTo: child.process)
    #expect(live.processID == child.process)
    #expect(live.executable == program)
    #expect(live.threads.count == 2)
    #expect(live.threads.first?.threadID == child.process)
    #expect(live.threads.map(\.name).contains("spinner"))
    #expect(live.load(address, as: UInt64.self) == 0x1122_3344_5566_7788)
    let spinner = try #require(live.threads.first { $0.name == "spinner" })
    // Only a general register, an XMM register and the upper half of a YMM register hold these.
    #expect(spinner.registerWords.contains(0x0123_4567_89ab_cde1))
    #expect(spinner.registerWords.contains(0x0123_4567_89ab_cde2))
    #expect(spinner.registerWords.contains(0x0123_4567_89ab_cde3))
    let stack = try #require(live.mapping(containing: spinner.stackPointer))
    #expect(stack.isWritable)
    #expect(try #require(live.mapping(containing: spinner.programCounter)).isExecutable)
    #expect(live.mapping(containing: spinner.threadPointer)?.isWritable == true)
    #expect(stateOf(child.process) == "t")
    live.detach()
    #expect(stateOf(child.process) != "t")
  }

  @Test func readsUpToTheFirstUnreadablePage() throws {
    let child = try Child([try folder.compile(Targets.hole)])
    let address = Address(try #require(child.readLine().flatMap { UInt64($0, radix: 16) }))
    let live = try LiveProcess(attachingTo: child.process)
    // Two pages, then one without permission.
    #expect(live.bytes(address, count: 20000).count == 8192)
    #expect(live.bytes(address + 100, count: 20000) == [UInt8](repeating: 7, count: 8092))
    #expect(live.bytes(address + 8192, count: 10) == [])
    #expect(live.bytes(Address(.max), count: 10) == [])
    #expect(live.load(address + 8190, as: UInt64.self) == nil)
  }

  @Test func stopsManyThreads() throws {
    let child = try Child([try folder.compile(Targets.threads)])
    try child.expectLine("ready")
    let live = try LiveProcess(attachingTo: child.process)
    #expect(live.threads.count == 65)
    #expect(ProcFiles.threads(of: child.process).allSatisfy { stateOf($0) == "t" })
    live.detach()
    child.write("x")
    try child.expectLine("done")
    #expect(child.wait() == .exited(0))
  }

  @Test func leavesAStoppedProcessStopped() throws {
    let child = try Child([try folder.compile(Targets.blocked)])
    try child.expectLine("ready")
    child.send(SIGSTOP)
    try eventually("the target stops") { child.state == "T" }
    for _ in 0..<20 {
      let live = try LiveProcess(attachingTo: child.process)
      live.detach()
      try eventually("it is stopped again") { child.state == "T" }
      let snapshot = try Snapshot.take(of: child.process)
      #expect(snapshot.method == .fork, "\(snapshot.copyReason)")
      try eventually("it is stopped again") { child.state == "T" }
    }
    child.send(SIGCONT)
    child.write("x")
    try child.expectLine("no EINTR")
    #expect(child.wait() == .exited(0))
  }

  @Test func deliversSignalsThatCameMeanwhile() throws {
    let child = try Child([try folder.compile(Targets.countsSignals)])
    try child.expectLine("ready")
    for _ in 0..<50 {
      let live = try LiveProcess(attachingTo: child.process)
      child.send(SIGUSR1)
      live.detach()
      try child.expectLine("signal")
      child.send(SIGUSR1)
      let snapshot = try Snapshot.take(of: child.process)
      #expect(snapshot.method == .fork, "\(snapshot.copyReason)")
      try child.expectLine("signal")
    }
  }

  @Test func canBeKilledWhileStopped() throws {
    let child = try Child([try folder.compile(Targets.threads)])
    try child.expectLine("ready")
    let live = try LiveProcess(attachingTo: child.process)
    child.send(SIGKILL)
    try eventually("its memory is gone") { live.bytes(live.threads[0].stackPointer, count: 8) == [] }
    #expect(throws: ProcessError.ended(child.process)) { try Snapshot.take(of: live) }
    // Nothing of it is left, not even a zombie.
    #expect(child.state == nil)
  }
}

@Suite struct ProcessErrorTests {
  @Test func namesWhatIsWrong() throws {
    let folder = try TemporaryFolder()
    #expect(throws: ProcessError.noSuchProcess(0x7fff_fff0)) { try LiveProcess(attachingTo: 0x7fff_fff0) }
    #expect(throws: ProcessError.noSuchProcess(-1)) { try LiveProcess(attachingTo: -1) }
    #expect(throws: ProcessError.noSuchProcess(0)) { try Snapshot.take(of: 0) }
    #expect(throws: ProcessError.isMallowItself(getpid())) { try LiveProcess(attachingTo: getpid()) }

    let ended = try Child([try folder.compile("int main(void) { return 0; }")])
    try eventually("the child is a zombie") { ended.state == "Z" }
    #expect(throws: ProcessError.isZombie(ended.process)) { try LiveProcess(attachingTo: ended.process) }
  }

  @Test(.enabled(if: ProcFiles.threadName(2) == "kthreadd", "a container shows no kernel threads"))
  func refusesKernelThreads() throws {
    #expect(throws: ProcessError.isKernelThread(2)) { try LiveProcess(attachingTo: 2) }
  }

  @Test func namesTheTracer() throws {
    let folder = try TemporaryFolder()
    let child = try Child([try folder.compile(Targets.blocked)])
    try child.expectLine("ready")
    let live = try LiveProcess(attachingTo: child.process)
    let error = #expect(throws: ProcessError.self) { try LiveProcess(attachingTo: child.process) }
    guard case .alreadyTraced(child.process, tracer: getpid(), _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    live.detach()
    try LiveProcess(attachingTo: child.process).detach()
  }

  @Test func findsThreadsAfterTheMainOneEnded() throws {
    let folder = try TemporaryFolder()
    let child = try Child([try folder.compile(Targets.mainThreadEnds)])
    try child.expectLine("ready")
    try eventually("the main thread has ended") { child.state == "Z" }
    let live = try LiveProcess(attachingTo: child.process)
    #expect(live.threads.count == 1)
    #expect(live.mappings.count > 5)
    #expect(live.bytes(live.threads[0].stackPointer, count: 64).count == 64)
    let snapshot = try Snapshot.take(of: live)
    #expect(snapshot.method == .fork, "\(snapshot.copyReason)")
    #expect(snapshot.bytes(snapshot.threads[0].stackPointer, count: 64).count == 64)
    child.write("x")
    try child.expectLine("done")
  }

  @Test(arguments: [
    (ProcessError.notPermitted(7, owner: 0, ptraceScope: nil), "CAP_SYS_PTRACE"),
    (.notPermitted(7, owner: geteuid(), ptraceScope: 1), "ptrace_scope is 1"),
    (.notPermitted(7, owner: 0, ptraceScope: 3), "until the next boot"),
    (.alreadyTraced(7, tracer: 8, tracerName: "mallow"), "`mallow run` ends"),
    (.alreadyTraced(7, tracer: 8, tracerName: "gdb"), "process 8 (gdb)"),
    (.is32Bit(7), "32-bit"),
  ])
  func saysItInOneSentence(error: ProcessError, part: String) {
    #expect(error.description.contains(part))
    #expect(error.description.hasSuffix("."))
    #expect(!error.description.contains("\n"))
  }

  @Test(.enabled(if: geteuid() == 0, "only root can become another user to try it as"))
  func refusesAnotherUsersProcess() throws {
    let folder = try TemporaryFolder()
    let child = try Child([try folder.compile(Targets.blocked)])
    try child.expectLine("ready")
    let helper = try Helper.copy(into: folder)
    let loop = try Child(["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", helper, "\(child.process)"])
    let message = loop.readAll()
    #expect(message.contains("You may not examine process \(child.process) of user 0: run as root or with CAP_SYS_PTRACE."))
    #expect(loop.wait() == .exited(2))
  }
}
