// Core files of running programs: what is written is what is read.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ProcessImage

@Suite struct CoreWriterTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func start() throws -> Child {
    let data = try folder.file("data", (0..<40 * 4096).map { UInt8(truncatingIfNeeded: $0 / 4096 + 1) })
    let child = try Child([try folder.compile(Self.program), data])
    try child.expectLine("ready")
    return child
  }

  @Test(arguments: [false, true]) func holdsWhatTheProcessHeld(compress: Bool) throws {
    let child = try start()
    let snapshot = try Snapshot.take(of: child.process)
    let path = folder.path + "/core"
    let outcome = try CoreWriter.write(snapshot, to: path, compress: compress)
    #expect(outcome.unreadableBytes == 0)
    let core = try CoreFile(path: path)
    #expect(core.notes == [])
    #expect(core.mappings == snapshot.mappings)
    #expect(core.executable == snapshot.executable)
    #expect(core.threads.map(\.threadID) == snapshot.threads.map(\.threadID))
    #expect(Set(core.threads.map(\.name)).isSuperset(of: ["worker 1", "worker 2"]))
    for (a, b) in zip(core.threads, snapshot.threads) {
      #expect(a.name == b.name && a.stackPointer == b.stackPointer && a.threadPointer == b.threadPointer)
      #expect(a.registerWords == b.registerWords)
    }
    #expect(core.kernelHeldWords == [KernelHeldWord(.epoll, 0x1234_5678_9abc)])
    #expect(core.recordedProcessID == child.process)
    #expect(core.statusText.contains("VmRSS"))
    for mapping in snapshot.mappings where mapping.isReadable && !mapping.name.hasPrefix("[v") && mapping.size < 1 << 30 {
      let now = snapshot.bytes(mapping.start, count: Int(mapping.size))
      let then = core.bytes(mapping.start, count: Int(mapping.size))
      #expect(now == then, "\(mapping)")
    }
    // A reservation of 64 GiB with two pages in it, far apart.
    let vast = try #require(snapshot.mappings.first { $0.size == 1 << 36 })
    let touched = core.touchedRanges(in: vast.start..<vast.end)
    #expect(touched.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) } <= 4 << 20)
    #expect(core.bytes(vast.start + (1 << 35) + 8, count: 2) == [5, 0])
    #expect(core.bytes(vast.start + (1 << 34), count: 2) == [0, 0])
  }

  @Test func leavesOutWhatFilesHold() throws {
    let child = try start()
    let snapshot = try Snapshot.take(of: child.process)
    let plan = CorePlan(snapshot)
    let file = try #require(snapshot.mappings.firstIndex { $0.name.hasSuffix("/data") })
    let segments = plan.segments.filter { $0.mapping == file }
    // Of 40 pages the 31st was written to.
    #expect(segments.map(\.storedSize) == [0, 4096])
    #expect(segments.map { $0.range.lowerBound - snapshot.mappings[file].start } == [0, 30 * 4096])
    let code = try #require(snapshot.mappings.firstIndex { $0.name.contains("/libc.so") && $0.isExecutable })
    #expect(plan.segments.filter { $0.mapping == code }.map(\.storedSize) == [0])
    let headers = try #require(snapshot.mappings.firstIndex { $0.name.contains("/libc.so") && $0.fileOffset == 0 })
    #expect(plan.segments.filter { $0.mapping == headers }.map(\.storedSize) == [4096])
  }

  @Test(.enabled(if: geteuid() == 0, "only root may open the files of mappings"))
  func leavesOutSharedMemoryThatNobodyTouched() throws {
    let child = try start()
    let snapshot = try Snapshot.take(of: child.process)
    let shared = try #require(snapshot.mappings.firstIndex { $0.name == "/dev/zero" })
    #expect(CorePlan(snapshot).segments.filter { $0.mapping == shared }.map(\.storedSize) == [3 * 4096])
  }

  @Test func storesWhatIsInNoFileAnyMore() throws {
    let child = try start()
    try FileManager.default.removeItem(atPath: folder.path + "/data")
    let snapshot = try Snapshot.take(of: child.process)
    let plan = CorePlan(snapshot)
    let file = try #require(snapshot.mappings.firstIndex { $0.name.hasSuffix("/data") })
    #expect(plan.segments.filter { $0.mapping == file }.map(\.storedSize) == [40 * 4096])
  }

  @Test func writesACopyToo() throws {
    let child = try start()
    let snapshot = try Snapshot.copy(of: LiveProcess(attachingTo: child.process))
    let path = folder.path + "/core"
    _ = try CoreWriter.write(snapshot, to: path)
    let core = try CoreFile(path: path)
    let stack = try #require(core.mappings.first { $0.name == "[stack]" })
    #expect(core.bytes(stack.start, count: Int(stack.size)) == snapshot.bytes(stack.start, count: Int(stack.size)))
    var size = stat()
    #expect(stat(path, &size) == 0 && size.st_blocks < 100_000)
  }

  @Test func onlyTheOwnerMayRead() throws {
    let child = try start()
    let snapshot = try Snapshot.take(of: child.process)
    let path = try folder.file("core", [1, 2, 3], mode: 0o644)
    _ = try CoreWriter.write(snapshot, to: path)
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
  }

  @Test func nothingRemainsOfAFailure() throws {
    let child = try start()
    let snapshot = try Snapshot.take(of: child.process)
    let path = folder.path + "/core"
    #expect(throws: CoreWriteError.notRegular(folder.path)) { try CoreWriter.write(snapshot, to: folder.path) }
    #expect(throws: CoreWriteError.notRegular("/dev/full")) { try CoreWriter.write(snapshot, to: "/dev/full") }
    #expect(throws: CoreWriteError.notWritten("/no/such/core", code: ENOENT)) { try CoreWriter.write(snapshot, to: "/no/such/core") }
    _ = try folder.file("core", [1, 2, 3])
    #expect(throws: CoreWriteError.copyWasKilled(snapshot.processID)) {
      try CoreWriter.write(snapshot, to: path) { if $0 == 1 { snapshot.close() } }
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data([1, 2, 3]))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("core") } == ["core"])
  }

  @Test func cutsCompressedFilesOff() throws {
    let child = try start()
    let snapshot = try Snapshot.take(of: child.process)
    let path = folder.path + "/core"
    _ = try CoreWriter.write(snapshot, to: path, compress: true)
    let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    var opened = 0
    for part in 1..<20 {
      let cut = try folder.file("cut", Array(whole[..<(whole.count * part / 20)]))
      guard let core = try? CoreFile(path: cut) else { continue }
      opened += 1
      #expect(!core.notes.isEmpty)
    }
    #expect(opened > 0)
  }

  @Test func splitsAtLongGaps() {
    let mapping = Mapping(
      start: Address(0x10000), end: Address(0x90000), isReadable: true, isWritable: true, isExecutable: false, isShared: false)
    func split(_ parts: [Range<UInt64>]) -> [CorePlan.Segment] {
      CorePlan.split(mapping, at: parts.map { Address($0.lowerBound)..<Address($0.upperBound) }, longestGap: 0x10000, number: 3)
    }
    func segment(_ start: UInt64, _ end: UInt64, _ stored: UInt64) -> CorePlan.Segment {
      .init(range: Address(start)..<Address(end), storedSize: stored, mapping: 3)
    }
    #expect(split([]) == [segment(0x10000, 0x90000, 0)])
    #expect(split([0x10000..<0x90000]) == [segment(0x10000, 0x90000, 0x80000)])
    #expect(split([0x20000..<0x21000, 0x31000..<0x32000]) == [segment(0x10000, 0x20000, 0), segment(0x20000, 0x90000, 0x12000)])
    #expect(
      split([0x20000..<0x21000, 0x32000..<0x33000])
        == [segment(0x10000, 0x20000, 0), segment(0x20000, 0x32000, 0x1000), segment(0x32000, 0x90000, 0x1000)])
  }

  /// Two threads with names, a file with one page changed, shared memory, and a vast reservation.
  private static let program = """
    #include <fcntl.h>
    #include <pthread.h>
    #include <stdio.h>
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/mman.h>
    #include <unistd.h>
    static char data[3 * 4096] = "initialised", bss[5 * 4096];
    static pthread_barrier_t barrier;
    static void *work(void *number) {
      char name[16];
      snprintf(name, sizeof name, "worker %ld", (long)number);
      pthread_setname_np(pthread_self(), name);
      pthread_barrier_wait(&barrier);
      pause();
      return 0;
    }
    int main(int argc, char **argv) {
      (void)argc;
      int file = open(argv[1], O_RDONLY);
      char *mapped = mmap(0, 40 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
      mapped[30 * 4096 + 7] = 'x';
      volatile char first = mapped[0];
      (void)first;
      char *shared = mmap(0, 10 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
      memset(shared, 's', 3 * 4096);
      char *vast = mmap(0, 1L << 36, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      madvise(vast, 1L << 36, MADV_NOHUGEPAGE);
      vast[0] = 4;
      vast[(1L << 35) + 8] = 5;
      bss[4096] = 6;
      data[2 * 4096] = 7;
      struct epoll_event event = {EPOLLIN, {.u64 = 0x123456789abc}};
      epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, 0, &event);
      pthread_t thread;
      pthread_barrier_init(&barrier, 0, 3);
      for (long i = 1; i <= 2; i++) pthread_create(&thread, 0, work, (void *)i);
      pthread_barrier_wait(&barrier);
      puts("ready");
      fflush(stdout);
      pause();
    }
    """
}
