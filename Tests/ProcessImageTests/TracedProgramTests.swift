// Programs that are started and watched to their end.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ProcessImage

/// One after the other, since each changes what signals mean to this process.
@Suite(.serialized) struct TracedProgramTests {
  let folder: TemporaryFolder
  let program: String

  init() throws {
    folder = try TemporaryFolder()
    program = try folder.compile(Targets.endings)
  }

  struct Ending {
    let end: ProgramEnd
    let threads: Int
    let marker: UInt64?
  }

  /// Runs the program and returns its outcome and what was seen at each end.
  private func run(
    _ arguments: [String], followChildren: Bool = false, onExec: @escaping (Int32, String) -> Void = { _, _ in }
  ) throws -> (outcome: TracedProgram.Outcome, endings: [Ending]) {
    // The threads that tests run on block most signals, which a program would inherit.
    var none = sigset_t()
    var old = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &old)
    defer { pthread_sigmask(SIG_SETMASK, &old, nil) }

    var endings: [Ending] = []
    let traced = TracedProgram(
      program, arguments: [program] + arguments, environment: ["PATH=/bin:/usr/bin"], followsChildren: followChildren)
    traced.onExec = onExec
    traced.onExit = { image in
      #expect(image.executable == program)
      #expect(image.threads.allSatisfy { image.mapping(containing: $0.stackPointer)?.isWritable == true })
      #expect(image.peakResidentBytes > 100_000)
      endings.append(
        Ending(end: image.end, threads: image.threads.count, marker: image.load(Address(0x1000_0000), as: UInt64.self)))
    }
    let outcome = try traced.run()
    return (outcome, endings)
  }

  @Test(arguments: [
    ("return", ProgramEnd.exited(code: 3), 1),
    ("exit", .exited(code: 4), 1),
    ("_exit", .exited(code: 6), 1),
    ("threads", .exited(code: 0), 9),
    ("short threads", .exited(code: 7), 1),
    ("other thread exits", .exited(code: 5), 2),
    ("main thread first", .exited(code: 0), 1),
    ("signals", .exited(code: 8), 1),
    ("stops", .exited(code: 12), 1),
  ])
  func seesTheMemoryAtTheEnd(way: String, end: ProgramEnd, threads: Int) throws {
    let (outcome, endings) = try run([way])
    #expect(outcome.end == end)
    #expect(outcome.wallSeconds > 0 && outcome.wallSeconds < 30)
    #expect(outcome.peakResidentBytes > 100_000)
    #expect(endings.map(\.end) == [end])
    #expect(endings.map(\.threads) == [threads])
    #expect(endings.map(\.marker) == [0xfeed_face])
  }

  @Test(arguments: [("abort", SIGABRT, 1), ("segv", SIGSEGV, 1), ("threads abort", SIGABRT, 9)])
  func seesTheMemoryAtDeathByASignal(way: String, signal: Int32, threads: Int) throws {
    let (outcome, endings) = try run([way])
    guard case .killed(signal, _) = outcome.end else {
      Issue.record("\(outcome)")
      return
    }
    #expect(endings.map(\.threads) == [threads])
    #expect(endings.map(\.marker) == [0xfeed_face])
  }

  @Test func reportsAKill() throws {
    let (outcome, endings) = try run(["kill"])
    #expect(outcome.end == .killed(signal: SIGKILL, coreDumped: false))
    #expect(outcome.peakResidentBytes > 100_000)
    #expect(endings.isEmpty)
  }

  @Test func handlesARawExitOfTheMainThread() throws {
    let (outcome, endings) = try run(["raw exit"])
    #expect(endings.map(\.marker) == [0xfeed_face])
    #expect(endings.map(\.threads) == [1])
    #expect(outcome.end == .exited(code: 0) || outcome.end == .exited(code: 9))
  }

  @Test(arguments: ["exec", "exec by thread"])
  func followsExec(way: String) throws {
    var executed: [String] = []
    let (outcome, endings) = try run([way]) { executed.append($1) }
    #expect(executed == [program])
    #expect(outcome.end == .exited(code: 4))
    #expect(endings.map(\.threads) == [1])
    #expect(outcome.wallSeconds < 0.9)
  }

  @Test func manyThreadsEndTogether() throws {
    for _ in 0..<30 {
      let (outcome, endings) = try run(["threads"])
      #expect(outcome.end == .exited(code: 0))
      #expect(endings.map(\.threads) == [9])
    }
  }

  @Test func reportsAFailedExec() throws {
    let missing = TracedProgram("/no/such/program", arguments: ["x"], environment: [])
    #expect(throws: ProcessError.notStarted("/no/such/program", code: ENOENT)) { try missing.run() }
    let directory = TracedProgram(folder.path, arguments: ["x"], environment: [])
    #expect(throws: ProcessError.notStarted(folder.path, code: EACCES)) { try directory.run() }
  }

  @Test func passesOnSIGTERM() throws {
    let file = folder.path + "/pid"
    // Sends once the program has said that it waits.
    let sender = try Child(["/bin/sh", "-c", "until test -s \(file); do sleep 0.01; done; kill -TERM \(getpid())"])
    let (outcome, endings) = try run(["waits for SIGTERM", file])
    #expect(sender.wait() == .exited(0))
    #expect(outcome.end == .exited(code: 10 + SIGTERM))
    #expect(endings.count == 1)
  }

  @Test func ignoresChildrenUnlessAskedTo() throws {
    let (outcome, endings) = try run(["children"])
    #expect(outcome.end == .exited(code: 13))
    #expect(endings.map(\.end) == [.exited(code: 13)])
  }

  @Test func followsChildren() throws {
    let (outcome, endings) = try run(["children"], followChildren: true)
    #expect(outcome.end == .exited(code: 13))
    // The child of vfork ends in its parent's memory, which is not gone then.
    #expect(endings.map(\.end) == [.exited(code: 21), .exited(code: 4), .exited(code: 13)])
    #expect(endings.allSatisfy { $0.marker == 0xfeed_face })
  }

  @Test func letsGoOfChildrenThatLiveOn() throws {
    let file = folder.path + "/child"
    let (outcome, endings) = try run(["lasting child", file], followChildren: true)
    #expect(outcome.end == .exited(code: 0))
    #expect(endings.count == 1)
    let child = try #require(pid_t(String(contentsOfFile: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
    #expect(ProcessStatus(child)?.number("TracerPid") == 0)
    #expect(stateOf(child) == "S" || stateOf(child) == "R")
    kill(child, SIGKILL)
  }

  @Test func addsNoDescriptors() throws {
    // `ls` has 0, 1 and 2, its own, and what this process leaves open to all its children.
    let inherited = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
      .filter { $0 > 2 && fcntl($0, F_GETFD) >= 0 && fcntl($0, F_GETFD) & FD_CLOEXEC == 0 }
    #expect(try run(["descriptors"]).outcome.end == .exited(code: Int32(4 + inherited.count)))
  }

  @Test func restoresSignals() throws {
    func handlers() -> [Int] {
      [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2].map { signal in
        var action = sigaction()
        sigaction(signal, nil, &action)
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
      }
    }
    let before = handlers()
    var during: [Int] = []
    _ = try run(["exec"]) { _, _ in during = handlers() }
    #expect(handlers() == before)
    #expect(zip(before, during).allSatisfy { $0 != $1 })
  }
}
