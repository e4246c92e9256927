// Writes a snapshot as an ELF core file.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// A core file of a snapshot: what a debugger and ``CoreFile`` open.
public enum CoreWriter {
  /// What was written.
  public struct Outcome: Sendable {
    /// The size of the file in bytes; holes count.
    public var fileSize: UInt64
    /// Bytes of memory in it.
    public var storedBytes: UInt64
    /// Bytes of memory that could not be read, and are zero in the file.
    public var unreadableBytes: UInt64
  }

  private static let pageSize = TargetMemory.pageSize
  private static let sectionHeaderSize = 64

  /// Writes the file: readable by its owner only, under its name only when it is whole.
  /// - Parameters:
  ///   - compress: compresses it with zstd.
  ///   - progress: called now and then with the part that is done, from 0 to 1.
  /// - Throws: ``CoreWriteError``.
  public static func write(
    _ snapshot: Snapshot, to path: String, compress: Bool = false, progress: (Double) -> Void = { _ in }
  ) throws(CoreWriteError) -> Outcome {
    let output = try CoreOutput(path: path, compress: compress)
    let plan = CorePlan(snapshot)
    let notes = CoreNotesWriter(snapshot, files: plan.files).bytes
    try output.append(headers(plan, snapshot.mappings, notes: notes))
    var unreadable: UInt64 = 0
    var done: UInt64 = 0
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    for segment in plan.segments where segment.storedSize > 0 {
      var position = segment.range.lowerBound
      let end = position + segment.storedSize
      while position < end {
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(UInt64(buffer.count), end - position))])
        unreadable += read(position, into: part, from: snapshot)
        try output.append(UnsafeRawBufferPointer(part))
        position = position + UInt64(part.count)
        done += UInt64(part.count)
        progress(Double(done) / Double(max(1, plan.storedBytes)))
      }
    }
    guard snapshot.isIntact else { throw .copyWasKilled(snapshot.processID) }
    return Outcome(fileSize: try output.finish(), storedBytes: plan.storedBytes, unreadableBytes: unreadable)
  }

  /// Reads all of a range; pages that can't be read become zeros. Returns their bytes.
  private static func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer, from snapshot: Snapshot) -> UInt64 {
    var done = 0
    var unreadable: UInt64 = 0
    while done < buffer.count {
      done += snapshot.read(address + UInt64(done), into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
      guard done < buffer.count else { break }
      let next = min(buffer.count, (done / Int(pageSize) + 1) * Int(pageSize))
      UnsafeMutableRawBufferPointer(rebasing: buffer[done..<next]).initializeMemory(as: UInt8.self, repeating: 0)
      unreadable += UInt64(next - done)
      done = next
    }
    return unreadable
  }

  /// All that comes before the contents of memory: ELF header, program headers, notes.
  private static func headers(_ plan: CorePlan, _ mappings: [Mapping], notes: [UInt8]) -> [UInt8] {
    let count = plan.segments.count + 1
    // More than the header's 16 bits can say: the number is in a section header (elf(5), PN_XNUM).
    let isLong = count >= 0xffff
    let tableEnd = CoreHeaders.headerSize + count * CoreHeaders.programHeaderSize
    let notesStart = tableEnd + (isLong ? sectionHeaderSize : 0)
    var offset = UInt64(notesStart + notes.count).roundedUp(to: pageSize)

    var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, UInt8(ELFCLASS64), UInt8(ELFDATA2LSB), UInt8(EV_CURRENT)] + [UInt8](repeating: 0, count: 9)
    func put<T: FixedWidthInteger>(_ values: T...) { for value in values { bytes += CoreNotesWriter.little(value) } }
    put(UInt16(ET_CORE), UInt16(EM_X86_64))
    put(UInt32(EV_CURRENT))
    put(UInt64(0), UInt64(CoreHeaders.headerSize), isLong ? UInt64(tableEnd) : 0)
    put(UInt32(0))
    put(UInt16(CoreHeaders.headerSize), UInt16(CoreHeaders.programHeaderSize), isLong ? 0xffff : UInt16(count))
    put(UInt16(isLong ? sectionHeaderSize : 0), UInt16(isLong ? 1 : 0), UInt16(0))

    put(UInt32(PT_NOTE), UInt32(0))
    put(UInt64(notesStart), 0, 0, UInt64(notes.count), 0, 4)
    for segment in plan.segments {
      let mapping = mappings[segment.mapping]
      put(
        UInt32(PT_LOAD),
        UInt32(mapping.isReadable ? PF_R : 0) | UInt32(mapping.isWritable ? PF_W : 0) | UInt32(mapping.isExecutable ? PF_X : 0))
      put(offset, segment.range.lowerBound.rawValue, 0, segment.storedSize, segment.range.upperBound - segment.range.lowerBound, pageSize)
      offset += segment.storedSize
    }
    if isLong {
      put(UInt32(0), UInt32(SHT_NULL))
      put(UInt64(0), 0, 0, 0)
      put(UInt32(0), UInt32(count))
      put(UInt64(0), 0)
    }
    bytes += notes
    bytes += [UInt8](repeating: 0, count: Int(UInt64(bytes.count).roundedUp(to: pageSize)) - bytes.count)
    return bytes
  }
}

/// Why a core file was not written. Its description is one plain sentence.
public enum CoreWriteError: Error, Equatable, CustomStringConvertible {
  case notWritten(String, code: Int32)
  /// There is something else of that name.
  case notRegular(String)
  /// The snapshot's process was ended while it was read.
  case copyWasKilled(Int32)

  public var description: String {
    switch self {
    case .notWritten(let path, let code): "\(path) can't be written: \(String(cString: strerror(code)))."
    case .notRegular(let path): "\(path) can't be written: it exists and is no ordinary file."
    case .copyWasKilled(let process):
      "The copy of process \(process) was killed while it was written, perhaps for want of memory; try again."
    }
  }
}
