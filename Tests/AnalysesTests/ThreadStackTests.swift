// Stale contents of stacks keep nothing, and what still counts of an ended thread's stack is kept.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Glibc
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct ThreadStackTests {
  static let stack = Address(0x7f70_0000_0000)
  static let size: UInt64 = 1 << 20
  static let controlBlock = stack + size - 0x940

  /// A process with a second stack, whose memory merges with a program's own mapping behind it.
  func process(isAlive: Bool, stackPointer: Address = stack + size / 2) -> Process {
    let process = Process()
    process.image.map(Self.stack.rawValue - 4096, size: 4096, writable: false, readable: false)
    process.image.map(Self.stack.rawValue, size: Self.size + 65536)
    let block = Self.controlBlock
    process.image.write(words: [block.rawValue, 0, block.rawValue], at: block)
    process.image.write(words: [Self.stack.rawValue - 4096, Self.size + 4096], at: block + 0x690)
    if isAlive {
      process.image.threads.append(ThreadState(threadID: 4243, stackPointer: stackPointer, threadPointer: block))
    }
    return process
  }

  func isLost(_ process: Process, pointerAt place: Address) throws -> Bool {
    let block = process.heap.allocate(64)
    process.image.write(block.rawValue, at: place)
    return try process.search().leaks.blocks == 1
  }

  @Test func aLiveStackCountsAboveItsPointer() throws {
    let top = Self.stack + Self.size
    #expect(try isLost(process(isAlive: true), pointerAt: Self.stack + Self.size / 2 - 256))
    #expect(try !isLost(process(isAlive: true), pointerAt: Self.stack + Self.size / 2 + 256))
    #expect(try !isLost(process(isAlive: true), pointerAt: Self.controlBlock - 64))
    #expect(try !isLost(process(isAlive: true), pointerAt: top + 512))
  }

  @Test func aThreadThatRunsOnAnotherStackKeepsItsOwn() throws {
    let process = process(isAlive: true, stackPointer: Address(0x5555_0000_8000))
    #expect(try !isLost(process, pointerAt: Self.stack + 64))
  }

  @Test func anEndedThreadsStackDoesNotCount() throws {
    #expect(try isLost(process(isAlive: false), pointerAt: Self.stack + Self.size / 2 + 256))
    #expect(try isLost(process(isAlive: false), pointerAt: Self.controlBlock - 64))
    // What the kernel merged with it does.
    #expect(try !isLost(process(isAlive: false), pointerAt: Self.stack + Self.size + 512))
  }

  @Test func theTableOfThreadLocalBlocksIsKept() throws {
    #expect(try !isLost(process(isAlive: false), pointerAt: Self.controlBlock + 8))
  }

  @Test func aResultIsKeptUntilTheThreadIsJoined() throws {
    #expect(try !isLost(process(isAlive: false), pointerAt: Self.controlBlock + 0x630))
    let joined = process(isAlive: false)
    joined.image.write(Int32(-1), at: Self.controlBlock + 0x2d0)
    #expect(try isLost(joined, pointerAt: Self.controlBlock + 0x630))
  }

  /// The layout that is assumed of glibc is the one that it has: looked at in this very process.
  @Test func glibcsOwnStacksAreRecognised() throws {
    var thread = pthread_t()
    #expect(pthread_create(&thread, nil, { _ in nil }, nil) == 0)
    let controlBlock = UInt64(thread)
    #expect(pthread_join(thread, nil) == 0)
    let image = OwnImage()
    let stack = try #require(image.mapping(containing: Address(controlBlock)))
    let heap = Process().heap
    let kept = heap.allocate(64)
    // The ended thread's stack, as it is, beside a built heap. A pointer on it must not keep the block.
    let start = stack.start.rawValue
    heap.image.map(start, size: stack.size)
    _ = image.read(stack.start, into: .init(start: heap.image.pointer(stack.start), count: Int(stack.size)))
    heap.image.write(kept.rawValue, at: Address(controlBlock & ~15) - 8192)
    heap.image.threads = [ThreadState(threadID: 1, stackPointer: Address(0))]
    #expect(try LeakSearch(heap.read()).run().leaks.blocks == 1)
    // Were it alive, the pointer would count.
    heap.image.threads = [
      ThreadState(threadID: 1, stackPointer: Address(controlBlock & ~15) - 16384, threadPointer: Address(controlBlock))
    ]
    #expect(try LeakSearch(heap.read()).run().leaks.blocks == 0)
  }
}

/// The running process, read through the kernel: whatever else it does meanwhile.
private final class OwnImage: ProcessImage {
  let processID = getpid()
  let executable = ""
  let threads: [ThreadState] = []
  let mappings: [Mapping]
  private let memory = open("/proc/self/mem", O_RDONLY)

  deinit { close(memory) }

  init() {
    var mappings: [Mapping] = []
    let file = fopen("/proc/self/maps", "r")!
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    while getline(&line, &capacity, file) > 0 {
      let fields = String(cString: line!).split(separator: " ")
      let range = fields[0].split(separator: "-").map { UInt64($0, radix: 16)! }
      mappings.append(
        Mapping(
          start: Address(range[0]), end: Address(range[1]), isReadable: fields[1].contains("r"),
          isWritable: fields[1].contains("w"), isExecutable: false, isShared: false))
    }
    free(line)
    fclose(file)
    self.mappings = mappings
  }

  func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    max(0, pread(memory, buffer.baseAddress, buffer.count, Int(address.rawValue)))
  }
}
