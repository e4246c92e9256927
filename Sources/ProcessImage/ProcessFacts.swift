// What /proc tells of a process that runs on: no ptrace, no stop.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// A process as its files under /proc show it. What may not be read is nil or empty.
public struct ProcessFacts: Sendable {
  public struct Thread: Hashable, Sendable {
    public var threadID: Int32
    public var name: String
    /// Nil while it runs, or where it may not be read.
    public var stackPointer: Address?

    public init(threadID: Int32, name: String = "", stackPointer: Address? = nil) {
      self.threadID = threadID
      self.name = name
      self.stackPointer = stackPointer
    }
  }

  public let processID: Int32
  /// A living thread, by which /proc is read.
  public let livingThread: Int32
  public let executable: String
  /// The main thread is first.
  public let threads: [Thread]
  public let auxiliaryVector: AuxiliaryVector?
  /// Where the heap that brk(2) moves begins.
  public let heapStart: Address?
  /// The strings of arguments and environment, which prctl(2) may have moved.
  public let arguments: Range<Address>?
  public let environment: Range<Address>?

  /// Reads what there is.
  /// - Throws: ``ProcessError`` where there is no such process, or it has no memory.
  public init(process identifier: Int32) throws(ProcessError) {
    let process = try ProcessCheck.existingProcess(identifier)
    let id = process.id
    processID = id
    livingThread = process.livingThread
    executable = ProcFiles.executable(livingThread) ?? ""
    // A thread's name and where its stack is are two files each: of thousands of threads that takes a while.
    threads = ProcFiles.threads(of: id).map {
      Thread(threadID: $0, name: ProcFiles.threadName($0), stackPointer: Self.stackPointer(id, $0))
    }
    auxiliaryVector = ProcFiles.read("/proc/\(livingThread)/auxv").flatMap { AuxiliaryVector($0) }
    let fields = Self.statistics(livingThread)
    func range(_ first: Int) -> Range<Address>? {
      guard fields.count > first + 1, fields[first] != 0, fields[first] < fields[first + 1] else { return nil }
      return Address(fields[first])..<Address(fields[first + 1])
    }
    // Numbered from 1 in proc(5): 47 start_brk, 48 and 49 arguments, 50 and 51 environment.
    heapStart = fields.count > 46 && fields[46] != 0 ? Address(fields[46]) : nil
    arguments = range(47)
    environment = range(49)
  }

  /// All mappings, in address order.
  /// - Throws: ``ProcessError`` where they may not be read, or the process has ended.
  public func readMappings() throws(ProcessError) -> [Mapping] {
    guard let mappings = MapsReader.read("/proc/\(livingThread)/maps") else {
      throw ProcessCheck.refusal(of: processID, thread: livingThread, code: errno)
    }
    if mappings.isEmpty { throw .ended(processID) }
    return mappings
  }

  /// All mappings and the state of their pages, which is faster together: pages are scanned while mappings are still read.
  /// - Throws: ``ProcessError`` where they may not be read, or the process has ended.
  public func readMappingsAndResidency() throws(ProcessError) -> (mappings: [Mapping], residency: Residency) {
    let pagemap = open("/proc/\(livingThread)/pagemap", O_RDONLY | O_CLOEXEC)
    defer { if pagemap >= 0 { close(pagemap) } }
    guard pagemap >= 0 else {
      let mappings = try readMappings()
      return (mappings, try Residency(process: livingThread, mappings: mappings))
    }
    let scan = ParallelPageScan(pagemap)
    var handed = 0
    let mappings = MapsReader.read("/proc/\(livingThread)/maps") { mappings in
      guard mappings.count - handed >= PageScan.mappingLimit else { return }
      scan.add(PageScan.ranges(of: mappings[handed...]))
      handed = mappings.count
    }
    let code = errno
    if let mappings { scan.add(PageScan.ranges(of: mappings[handed...])) }
    let found = scan.finish()
    guard let mappings else { throw ProcessCheck.refusal(of: processID, thread: livingThread, code: code) }
    if mappings.isEmpty { throw .ended(processID) }
    if let found { return (mappings, Residency(runs: Residency.runs(found, mappings), source: .pageScan)) }
    return (mappings, try Residency(process: livingThread, mappings: mappings))
  }

  /// The kernel's figure of resident bytes.
  public func readResidentBytes() -> UInt64? {
    ProcessStatus(livingThread)?.number("VmRSS").map { UInt64(clamping: $0) * 1024 }
  }

  /// Reads memory while the process runs; 0 bytes where that is not permitted (ptrace(2), "Ptrace access mode checking").
  public func readMemory(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    TargetMemory(thread: livingThread).read(address, into: buffer)
  }

  /// The last word but one of `/proc/PID/task/TID/syscall` is the stack pointer of a thread that waits.
  private static func stackPointer(_ process: Int32, _ thread: Int32) -> Address? {
    guard let text = ProcFiles.text("/proc/\(process)/task/\(thread)/syscall") else { return nil }
    let words = text.split { $0 == " " || $0 == "\n" }
    guard words.count >= 3, words[words.count - 2].hasPrefix("0x") else { return nil }
    return UInt64(words[words.count - 2].dropFirst(2), radix: 16).map { Address($0) }
  }

  /// The fields of `/proc/PID/stat`; the second, a name that may hold anything, counts as 0.
  private static func statistics(_ thread: Int32) -> [UInt64] {
    guard let text = ProcFiles.text("/proc/\(thread)/stat"), let name = text.lastIndex(of: ")") else { return [] }
    return [0, 0] + text[text.index(after: name)...].split { $0 == " " || $0 == "\n" }.map { UInt64($0) ?? 0 }
  }
}
