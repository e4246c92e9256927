// What is to be said of a core file that is not whole.
// SPDX-License-Identifier: Apache-2.0

struct CoreRemarks {
  private(set) var sentences: [String] = []

  mutating func add(_ file: FileContents, _ headers: CoreHeaders, cutShort: Bool) {
    if headers.wholeSize > file.size {
      let missing = byteCount(headers.wholeSize - file.size)
      sentences.append(
        "The core file is truncated: \(missing) of \(byteCount(headers.wholeSize)) are missing, and what was there is left out.")
    } else if cutShort {
      sentences.append("The compressed core file is damaged or cut off at its end.")
    }
    if headers.missingHeaders > 0 {
      sentences.append("The core file's list of its memory is cut off: \(headers.missingHeaders) parts of it are unknown.")
    }
    if headers.wrongSegments > 0 {
      sentences.append("The core file is damaged: \(headers.wrongSegments) parts of its memory can't be where it says, and are left out.")
    }
  }

  mutating func add(_ notes: CoreNotes) {
    if notes.wrongNotes > 0 { sentences.append("The core file's notes on threads and files are damaged or cut off.") }
    if notes.threads.isEmpty {
      sentences.append(
        "The core file names no threads: memory that only registers or the upper parts of stacks lead to can't be told from lost memory.")
    }
  }

  mutating func add(unusable files: [CoreNotes.FileID: (problem: MappedFile.Problem, bytes: UInt64)]) {
    let lacking = files.filter { $0.value.bytes > 0 }.sorted { ($1.value.bytes, $0.key.name) < ($0.value.bytes, $1.key.name) }
    guard !lacking.isEmpty else { return }
    let shown = lacking.prefix(3).map { "\($0.key.name) (\(byteCount($0.value.bytes))) \($0.value.problem.rawValue)" }
    let rest = lacking.count > 3 ? ", and so it is with \(lacking.count - 3) more" : ""
    sentences.append("Parts of mapped files that the core file leaves out can't be read: \(shown.joined(separator: ", "))\(rest).")
  }

  mutating func add(_ threads: [ThreadState], _ memory: CoreMemory) {
    let isLeftOut = threads.contains { thread in
      let index = memory.firstExtent(endingAfter: thread.stackPointer)
      guard index < memory.extents.count, memory.extents[index].range.contains(thread.stackPointer) else { return false }
      return memory.extents[index].source == .zero
    }
    if isLeftOut {
      sentences.append(
        "The core file leaves out memory that the program used, such as stacks: set /proc/PID/coredump_filter to 0x33 before it is written.")
    }
  }

  private func byteCount(_ bytes: UInt64) -> String {
    if bytes < 1024 { return "\(bytes) bytes" }
    let units = ["KiB", "MiB", "GiB", "TiB"]
    var tenths = bytes / 1024 * 10 + bytes % 1024 * 10 / 1024
    var unit = 0
    while tenths >= 10240, unit < units.count - 1 {
      tenths /= 1024
      unit += 1
    }
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }
}
