// Snapshots: what they show, and what the target must not notice.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ProcessImage

@Suite struct SnapshotTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  @Test(arguments: [Snapshot.Method.fork, .copy])
  func staysAsItWas(method: Snapshot.Method) throws {
    let child = try Child([try folder.compile(Targets.counts)])
    let address = Address(try #require(child.readLine().flatMap { UInt64($0, radix: 16) }))
    let live = try LiveProcess(attachingTo: child.process)
    let expected = live.bytes(address, count: 8 << 20)
    let stack = live.bytes(live.threads[0].stackPointer - 8192, count: 8192 + 512)
    let snapshot = try method == .fork ? Snapshot.take(of: live) : Snapshot.copy(of: live)
    #expect(snapshot.method == method, "\(snapshot.copyReason)")
    let counter: UInt64 = try #require(live.load(address))
    try eventually("the target counts on") { live.load(address, as: UInt64.self) ?? 0 > counter + 3 }
    #expect(snapshot.bytes(address, count: 8 << 20) == expected)
    #expect(snapshot.bytes(snapshot.threads[0].stackPointer - 8192, count: 8192 + 512) == stack)
    // From private memory into code, which is read elsewhere.
    let code = try #require(snapshot.mappings.first { $0.isExecutable && $0.inode != 0 })
    #expect(snapshot.bytes(code.start, count: 4096) == live.bytes(code.start, count: 4096))
    #expect(snapshot.bytes(Address(0), count: 1) == [])
    #expect(snapshot.pauseMilliseconds > 0)
    #expect(snapshot.isIntact)
    snapshot.close()
    #expect(!snapshot.isIntact)
    #expect(snapshot.bytes(address, count: 8) == [])
    #expect(children(of: child.process) == [])
  }

  @Test func leavesNoProcessBehind() throws {
    let child = try Child([try folder.compile(Targets.counts)])
    _ = child.readLine()
    let before = Set(children(of: 1))
    let snapshot = try Snapshot.take(of: child.process)
    let made = Set(children(of: 1)).subtracting(before).filter { ProcFiles.executable($0) == snapshot.executable }
    #expect(made.count == 1)
    let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(try #require(made.first))/fd")
    #expect(descriptors == [])
    snapshot.close()
    try eventually("init collects the snapshot") { made.allSatisfy { stateOf($0) == nil } }
  }

  @Test func copiesWhereSystemCallsAreFiltered() throws {
    let child = try Child(["/usr/bin/setpriv", "--no-new-privs", try folder.compile(Self.filtered)])
    let address = Address(try #require(child.readLine().flatMap { UInt64($0, radix: 16) }))
    let snapshot = try Snapshot.take(of: child.process)
    #expect(snapshot.method == .copy)
    #expect(snapshot.copyReason.contains("seccomp"))
    #expect(snapshot.load(address, as: UInt64.self) == 0x1234)
    #expect(snapshot.load(address + 8192, as: UInt64.self) == 0)
  }

  @Test func restartsWhatItInterrupts() throws {
    let child = try Child([try folder.compile(Targets.blocked)])
    try child.expectLine("ready")
    for _ in 0..<200 {
      let snapshot = try Snapshot.take(of: child.process)
      #expect(snapshot.method == .fork, "\(snapshot.copyReason)")
      #expect(snapshot.threads.count == 9)
    }
    child.write("x")
    try child.expectLine("no EINTR")
    #expect(child.wait() == .exited(0))
  }

  @Test(arguments: ["read", "poll", "ppoll", "nanosleep", "epoll", "futex"])
  func restartsTheOnlyThread(call: String) throws {
    let child = try Child([try folder.compile(Targets.blockedAlone), call])
    try child.expectLine("ready")
    for _ in 0..<200 {
      let snapshot = try Snapshot.take(of: child.process)
      #expect(snapshot.method == .fork, "\(snapshot.copyReason)")
    }
    try eventually("the target sleeps again") { child.state == "S" }
    // These two wait for an hour, or fail; the others wait for a byte.
    if call == "nanosleep" || call == "futex" { return }
    child.write("x")
    try child.expectLine("done")
    #expect(child.wait() == .exited(0))
  }

  @Test func letsASleepEndInTime() throws {
    let child = try Child([try folder.compile(Targets.blockedAlone), "short nanosleep"])
    try child.expectLine("ready")
    try eventually("the sleep of half a second ends, though it is interrupted more often than that") {
      _ = try? Snapshot.take(of: child.process)
      usleep(20000)
      return child.state == "Z"
    }
    try child.expectLine("done")
    #expect(child.wait() == .exited(0))
  }

  @Test func isUnseenByABusyTarget() throws {
    let child = try Child([try folder.compile(Targets.busy)])
    try child.expectLine("ready")
    for _ in 0..<60 {
      let snapshot = try Snapshot.take(of: child.process)
      #expect(snapshot.method == .fork, "\(snapshot.copyReason)")
      #expect(snapshot.threads.count == 7)
    }
    try expectProgress(child)
  }

  @Test func isUnseenByATargetThatCollectsChildren() throws {
    let child = try Child([try folder.compile(Targets.makesChildren)])
    try child.expectLine("ready")
    for _ in 0..<200 {
      let snapshot = try Snapshot.take(of: child.process)
      #expect(snapshot.method == .fork, "\(snapshot.copyReason)")
    }
    child.write("x")
    try child.expectLine("done")
    #expect(child.wait() == .exited(0))
  }

  @Test func copiesATargetThatAdoptsOrphans() throws {
    let child = try Child([
      try folder.compile(
        """
        #include <stdio.h>
        #include <sys/prctl.h>
        #include <unistd.h>
        int main(void) { prctl(PR_SET_CHILD_SUBREAPER, 1); puts("ready"); fflush(stdout); pause(); }
        """)
    ])
    try child.expectLine("ready")
    let snapshot = try Snapshot.take(of: child.process)
    #expect(snapshot.method == .copy)
    #expect(snapshot.copyReason == "it adopts orphaned processes")
  }

  /// Prints the address of a word with 0x1234, and forbids itself nothing, but by a filter.
  private static let filtered = """
    #include <linux/filter.h>
    #include <linux/seccomp.h>
    #include <stdint.h>
    #include <stdio.h>
    #include <sys/mman.h>
    #include <sys/prctl.h>
    #include <unistd.h>
    int main(void) {
      uint64_t *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      *p = 0x1234;
      struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
      struct sock_fprog program = {1, &allow};
      if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 1;
      printf("%lx\\n", (unsigned long)p);
      fflush(stdout);
      pause();
    }
    """
}

/// Expects that every thread of `Targets.busy` moves on.
func expectProgress(_ child: Child) throws {
  func progress() throws -> [UInt64] {
    child.write("x")
    guard let line = child.readLine() else { throw TestFailure("the target ended") }
    let numbers = line.split(separator: " ").compactMap { UInt64($0) }
    guard numbers.count == 6 else { throw TestFailure(line) }
    return numbers
  }
  let before = try progress()
  try eventually("all threads move on") { zip(before, try progress()).allSatisfy { $0 < $1 } }
}
