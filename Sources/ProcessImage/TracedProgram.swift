// Starts a program and watches it to its end, so that its memory can be looked at before it is gone.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// A program that is started and watched until it ends.
///
/// It runs as it would without Mallow: with the same descriptors, terminal, process group and signal mask; signals reach it, stops
/// and continuations work. Only thread starts and ends, signals, and exec cost it some microseconds each. If Mallow is killed, it
/// runs on. Signals that the terminal sends to both (SIGINT, SIGQUIT) are left to the program; SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2
/// sent to Mallow are passed on to it.
///
/// A program is watched by the thread that calls ``run()``, which should have no other children meanwhile.
public final class TracedProgram {
  public struct Outcome: Equatable, Sendable {
    public var end: ProgramEnd
    /// From its exec to its end, in seconds.
    public var wallSeconds: Double
    /// The most memory that was resident at once, in bytes; 0 where that is unknown.
    public var peakResidentBytes: UInt64
  }

  private let file: String
  private let arguments: [String]
  private let environment: [String]
  private let followsChildren: Bool

  /// Called when the program, or a child that is followed, is about to end by itself or by a signal other than SIGKILL.
  public var onExit: (ExitingProcess) -> Void = { _ in }
  /// Called when the program, or a child that is followed, has executed another program, whose path is given. It has not run yet.
  public var onExec: (_ process: Int32, _ executable: String) -> Void = { _, _ in }

  /// - Parameters:
  ///   - file: a path, or a name to be found through `PATH`.
  ///   - arguments: all arguments; the first is the program's name.
  ///   - environment: `NAME=value` each.
  ///   - followsChildren: whether processes that the program makes are watched as well. Those that outlive it are let go.
  public init(_ file: String, arguments: [String], environment: [String], followsChildren: Bool = false) {
    self.file = file
    self.arguments = arguments
    self.environment = environment
    self.followsChildren = followsChildren
  }

  /// Starts the program and returns when it has ended.
  /// - Throws: ``ProcessError/notStarted(_:code:)``, ``ProcessError/tracingRefused(code:)``.
  public func run() throws -> Outcome {
    let started = try start()
    let signals = SignalForwarding(to: started.process)
    defer { signals.restore() }
    let execution = try awaitExec(started)
    if let end = execution { return Outcome(end: end, wallSeconds: 0, peakResidentBytes: 0) }

    let start = monotonicNanoseconds()
    let watch = ProgramWatch(
      program: started.process, followsChildren: followsChildren,
      onExit: { [onExit] image in
        // From here on Mallow can be interrupted like any command.
        if image.isMainProgram { signals.restore() }
        onExit(image)
      }, onExec: onExec)
    let (end, ended, peak) = watch.untilEnd()
    return Outcome(end: end, wallSeconds: Double(ended - start) / 1e9, peakResidentBytes: peak)
  }

  private struct Started {
    let process: Int32
    /// Gives the `errno` of an exec that failed.
    let failure: Int32
  }

  /// Forks, and begins to trace the child before it executes the program.
  private func start() throws -> Started {
    var release: Int32 = -1
    var failure: Int32 = -1
    let child = withCStrings(arguments) { argv in
      withCStrings(environment) { envp in mallow_fork_held(file, argv, envp, &release, &failure) }
    }
    guard child > 0 else { throw ProcessError.notStarted(file, code: errno) }
    var options = MALLOW_TRACE_EXIT | MALLOW_TRACE_CLONE | MALLOW_TRACE_EXEC
    if followsChildren { options |= MALLOW_TRACE_FORK | MALLOW_TRACE_VFORK }
    let refused = Tracee(thread: child).seize(options: Int32(options))
    if refused == 0 {
      var go: UInt8 = 1
      _ = write(release, &go, 1)
    }
    close(release)
    guard refused == 0 else {
      close(failure)
      while waitpid(child, nil, 0) < 0 && errno == EINTR {}
      throw ProcessError.tracingRefused(code: refused)
    }
    return Started(process: child, failure: failure)
  }

  /// Waits until the program has been executed, and lets it run. Returns its end if it was killed before.
  private func awaitExec(_ started: Started) throws -> ProgramEnd? {
    defer { close(started.failure) }
    let child = Tracee(thread: started.process)
    while true {
      var raw: Int32 = 0
      guard waitpid(child.thread, &raw, Int32(MALLOW_WAIT_ALL)) == child.thread else { continue }
      switch WaitStatus(raw: raw) {
      case .event(Int32(MALLOW_EVENT_EXEC)):
        child.resume()
        return nil
      case .exited(let code):
        var error: Int32 = 0
        if read(started.failure, &error, 4) == 4 { throw ProcessError.notStarted(file, code: error) }
        return .exited(code: code)
      case .killed(let signal, let coreDumped):
        return .killed(signal: signal, coreDumped: coreDumped)
      case .signal(let signal):
        child.resume(signal: signal)
      case .stop(let signal) where signal != SIGTRAP:
        child.listen()
      case .stop, .event, .systemCall:
        child.resume()
      }
    }
  }
}

/// Calls `body` with a null-terminated array of C strings.
private func withCStrings<R>(_ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R) -> R {
  var pointers = strings.map { strdup($0) } + [nil]
  defer { pointers.forEach { free($0) } }
  return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
}
