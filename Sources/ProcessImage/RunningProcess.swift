// A process that runs on while it is looked at.
// SPDX-License-Identifier: Apache-2.0

/// A running process as an image, without a stop: memory changes while it is read. Where threads run, they are stopped for the blink
/// of an eye that it takes to read their registers.
///
/// Only pages are read that are mapped in: anything else would make the process bigger.
public final class RunningProcess: ProcessImage {
  public var processID: Int32 { facts.processID }
  public var executable: String { facts.executable }
  public let facts: ProcessFacts
  public let mappings: [Mapping]
  public let residency: Residency
  /// Address 0 stands for a stack pointer that is not known.
  public let threads: [ThreadState]

  /// - Throws: ``ProcessError`` where its mappings may not be read, or it has ended.
  public init(_ facts: ProcessFacts) throws(ProcessError) {
    self.facts = facts
    (mappings, residency) = try facts.readMappingsAndResidency()
    let registers = facts.threads.contains { $0.stackPointer == nil } ? Self.registers(facts) : [:]
    threads = facts.threads.map { thread in
      if let pointer = thread.stackPointer { return ThreadState(threadID: thread.threadID, name: thread.name, stackPointer: pointer) }
      return registers[thread.threadID] ?? ThreadState(threadID: thread.threadID, name: thread.name, stackPointer: Address(0))
    }
  }

  /// Of threads that do not wait, /proc does not tell where their stacks are.
  private static func registers(_ facts: ProcessFacts) -> [Int32: ThreadState] {
    // The numbers of system calls that a stop must not interrupt are those of 64-bit programs.
    guard facts.auxiliaryVector?.wordSize == 8, let process = try? ProcessCheck.examinableProcess(facts.processID),
      let stopper = try? ThreadStopper(stopping: process)
    else { return [:] }
    defer { stopper.release() }
    return Dictionary(stopper.threads.map { ($0.tracee.thread, $0.state) }, uniquingKeysWith: { first, _ in first })
  }

  public func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard residency.source != .smaps else { return facts.readMemory(address, into: buffer) }
    guard let range = residency.faultFreeRange(around: address) else { return 0 }
    let count = min(UInt64(buffer.count), range.upperBound - address)
    return facts.readMemory(address, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(count)]))
  }

  public func touchedRanges(in range: Range<Address>) -> [Range<Address>] {
    guard residency.source != .smaps else { return [range] }
    var result: [Range<Address>] = []
    residency.forEachRun(in: range) { start, size, state in
      guard !state.isDisjoint(with: [.resident, .swapped]) else { return }
      if let last = result.last, last.upperBound == start {
        result[result.count - 1] = last.lowerBound..<start + size
      } else {
        result.append(start..<start + size)
      }
    }
    return result
  }

  /// The first bytes of a mapping's file, for where they are not mapped in.
  public func readFile(of mapping: Mapping) -> [UInt8]? { facts.readFile(of: mapping) }
}
