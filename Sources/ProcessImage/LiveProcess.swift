// A running process, stopped while it is looked at.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A running process with all its threads stopped, until ``detach()``.
///
/// The target notices nothing but the time: no signal is lost, interrupted system calls go on, a process that was stopped stays
/// stopped. The exception is a transfer that was under way: a read or write of a pipe or socket can return what it has done so
/// far, as signal(7) allows it to. If Mallow dies, the target runs on; only within the microseconds between a thread's stop and
/// the correction of its interrupted call could epoll_wait(2) and its like fail with EINTR, as after SIGSTOP and SIGCONT.
///
/// The kernel ties the stop to the thread that made it: create and detach on the same thread.
public final class LiveProcess: ProcessImage {
  public let processID: Int32
  public let executable: String
  public let mappings: [Mapping]
  public let threads: [ThreadState]

  let stopper: ThreadStopper
  let memory: TargetMemory
  /// When the first thread was stopped, or was about to be.
  let stoppedAt: UInt64
  private(set) var isStopped = true

  /// Stops all threads of a process, and reads their registers.
  /// - Throws: ``ProcessError``.
  /// - Parameter allows32Bit: whether a 32-bit program will do, whose registers and mappings can be read but not its heap.
  public convenience init(attachingTo process: Int32, allows32Bit: Bool = false) throws {
    try self.init(checked: try ProcessCheck.examinableProcess(process, allows32Bit: allows32Bit))
  }

  init(checked process: Int32) throws {
    processID = process
    stoppedAt = monotonicNanoseconds()
    let stopper = try ThreadStopper(stopping: process)
    self.stopper = stopper
    let thread = stopper.threads[0].tracee.thread
    memory = TargetMemory(thread: thread)
    executable = ProcFiles.executable(thread) ?? ""
    threads = stopper.threads.map(\.state)
    mappings = MapsParser.parse(ProcFiles.read("/proc/\(thread)/maps") ?? [])
  }

  deinit { detach() }

  /// Lets all threads run on as they were. Memory can still be read afterwards, but it changes meanwhile.
  public func detach() {
    guard isStopped else { return }
    isStopped = false
    stopper.release()
  }

  public func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    memory.read(address, into: buffer)
  }

  public var kernelHeldWords: [KernelHeldWord] { KernelHeldWord.all(of: memory.thread) }
}
