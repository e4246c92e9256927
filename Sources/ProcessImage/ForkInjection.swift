// Makes a stopped process fork a copy-on-write child of itself, without the process noticing.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// A fork of a stopped process by injected system calls.
///
/// One thread of the target clones a *helper*, which shares its memory and descriptors and has no exit signal. The helper forks
/// the *snapshot* and ends; the thread collects it with wait4. So the snapshot becomes a child of init: the target gets no
/// SIGCHLD and has no child left. Then the thread's registers are put back where the kernel's own restart of interrupted
/// system calls expects them. At each step the thread stands on an ``EscapeChain``, which finishes the work if Mallow dies.
struct ForkInjection {
  private let process: Int32
  private let thread: StoppedThread
  private let mask: UInt64
  private let chain: EscapeChain
  private let memory: TargetMemory
  /// What the chain replaces in the thread's stack.
  private let original: [UInt8]

  /// Chooses the thread that makes the calls.
  /// - Throws: ``Obstacle`` when the process can't be forked this way.
  init(into process: LiveProcess, gadgets: Gadgets?) throws(Obstacle) {
    let threads = process.stopper.threads
    guard let status = ProcessStatus(threads[0].tracee.thread) else { throw Obstacle("it has ended") }
    guard status.number("Seccomp") ?? 0 == 0 else { throw Obstacle("a seccomp filter restricts its system calls") }
    guard status["x86_Thread_features"]?.contains("shstk") != true else { throw Obstacle("it uses a shadow stack") }
    guard status["NSpid"]?.split(separator: "\t").last != "1" else { throw Obstacle("it is the init process of its container") }
    var gadgets = gadgets
    if let found = gadgets, !found.isPresent(in: process.memory) { gadgets = nil }
    guard let gadgets = gadgets ?? Gadgets.find(in: process.mappings, memory: process.memory) else {
      throw Obstacle("its code has no system call to borrow")
    }
    // A thread whose call the kernel continues by a restart block comes last: alone, it could only start that call anew.
    let order = threads.filter { $0.registers.rax != RestartCode.block } + threads.filter { $0.registers.rax == RestartCode.block }
    for thread in order where !thread.isInRestartableSequence(process.memory) {
      guard let mask = thread.tracee.signalMask(),
        let chain = EscapeChain(for: thread, mask: mask, gadgets: gadgets, mappings: process.mappings, memory: process.memory)
      else { continue }
      self.process = process.processID
      self.thread = thread
      self.mask = mask
      self.chain = chain
      memory = process.memory
      original = process.memory.bytes(chain.base, count: chain.bytes.count)
      return
    }
    throw Obstacle("none of its threads has room on a guarded stack")
  }

  /// Why a process can't be forked; the text completes "it was copied because …".
  struct Obstacle: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
  }

  /// Forks. The snapshot is a stopped tracee that dies with Mallow; ``settle(_:)`` completes it.
  func perform() throws -> Tracee {
    let tracee = thread.tracee
    guard original.count == chain.bytes.count, memory.write(chain.base, chain.bytes) else {
      throw Obstacle("its stack can't be written")
    }
    // The order of these three is what makes dying between them harmless.
    guard tracee.setRegisters(chain.escape) == 0, tracee.setSignalMask(~0) == 0 else { throw ProcessError.ended(process) }
    tracee.setOptions(Self.options)
    defer {
      tracee.setOptions(0)
      _ = tracee.setSignalMask(mask)
      // Only now is the chain of no use any more.
      if tracee.setRegisters(thread.registers) == 0 { _ = memory.write(chain.base, original) }
    }
    let caller = InjectedCaller(process: process)

    // Orphans of a subreaper's children become its own: the target would see the snapshot.
    let subreaper = try caller.call(tracee, chain.call(SYS_prctl, UInt64(MALLOW_PR_GET_CHILD_SUBREAPER), chain.scratchWord.rawValue))
    guard subreaper.result == 0, memory.load(chain.scratchWord, as: UInt32.self) == 0 else {
      throw Obstacle("it adopts orphaned processes")
    }
    let helper = try caller.call(tracee, chain.cloneHelper)
    guard let child = helper.child else { throw Obstacle("it may not make another process: \(helper.error)") }
    let snapshot = forkSnapshot(by: Tracee(thread: child), caller: caller)
    // The helper ends by itself, unless it has ended already; the thread collects it.
    let collected = try caller.call(
      tracee, chain.call(SYS_wait4, UInt64(helper.result), 0, UInt64(MALLOW_WAIT_ALL), 0))
    guard collected.result == helper.result else {
      if let tracee = try? snapshot.get() { Snapshot.end(tracee) }
      throw Obstacle("its helper was lost")
    }
    return try snapshot.get()
  }

  private static let options = Int32(MALLOW_TRACE_SYSGOOD | MALLOW_TRACE_CLONE | MALLOW_TRACE_FORK | MALLOW_TRACE_VFORK)

  private func forkSnapshot(by helper: Tracee, caller: InjectedCaller) -> Result<Tracee, any Error> {
    defer { helper.detach() }
    return Result {
      guard try helper.waitForStop(process: process, deadline: caller.deadline) else { throw Obstacle("its helper was killed") }
      // Shared descriptors: a copy of the table would keep pipes and sockets open that the target closes.
      let fork = try caller.call(helper, chain.callInChild(SYS_clone, UInt64(MALLOW_CLONE_FS | MALLOW_CLONE_FILES)))
      guard let child = fork.child else { throw Obstacle("it may not be forked: \(fork.error)") }
      let snapshot = Tracee(thread: child)
      guard try snapshot.waitForStop(process: process, deadline: caller.deadline) else {
        throw Obstacle("its snapshot was killed")
      }
      snapshot.setOptions(Int32(MALLOW_TRACE_SYSGOOD | MALLOW_TRACE_EXITKILL))
      return snapshot
    }
  }

  /// Lets go of what the snapshot still shares with the target, and makes its memory what the target's was. The target need
  /// not wait for this.
  func settle(_ snapshot: Tracee) throws {
    let caller = InjectedCaller(process: process)
    // Gives up the descriptors without closing the target's; then leaves its session, whose signals are not meant for it.
    _ = try caller.call(snapshot, chain.callInChild(SYS_close_range, 0, UInt64(UInt32.max), 2))
    _ = try caller.call(snapshot, chain.callInChild(SYS_setsid))
    _ = TargetMemory(thread: snapshot.thread).write(chain.base, original)
  }
}
