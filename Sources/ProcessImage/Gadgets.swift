// Instruction sequences in a target's own code that an injected system call runs on.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Two places in a target's executable memory.
struct Gadgets {
  /// `syscall; ret`
  let systemCall: Address
  /// `mov $15, %rax; syscall`: rt_sigreturn(2), as in libc's `__restore_rt`.
  let signalReturn: Address

  private static let systemCallBytes: [UInt8] = [0x0f, 0x05, 0xc3]
  private static let signalReturnBytes: [UInt8] = [0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05]

  /// Looks for both in the vdso, libc and the loader first, then in all other code. Nil where one is missing.
  static func find(in mappings: [Mapping], memory: TargetMemory) -> Gadgets? {
    var systemCall: Address?
    var signalReturn: Address?
    let code = mappings.filter { $0.isExecutable && $0.isReadable && !$0.isWritable && $0.name != "[vsyscall]" }
    let likely = code.filter { isLikely($0.name) }
    for mapping in likely + code.filter({ !isLikely($0.name) }) {
      if signalReturn == nil { signalReturn = search(signalReturnBytes, in: mapping, memory: memory) }
      if systemCall == nil { systemCall = search(systemCallBytes, in: mapping, memory: memory) }
      if let systemCall, let signalReturn { return Gadgets(systemCall: systemCall, signalReturn: signalReturn) }
    }
    return nil
  }

  /// Whether the code is still there, after the target ran on.
  func isPresent(in memory: TargetMemory) -> Bool {
    memory.bytes(systemCall, count: Self.systemCallBytes.count) == Self.systemCallBytes
      && memory.bytes(signalReturn, count: Self.signalReturnBytes.count) == Self.signalReturnBytes
  }

  private static func isLikely(_ name: String) -> Bool {
    guard let file = name.split(separator: "/").last else { return false }
    return file.hasPrefix("libc.") || file.hasPrefix("libc-") || file.hasPrefix("ld-")
  }

  private static func search(_ pattern: [UInt8], in mapping: Mapping, memory: TargetMemory) -> Address? {
    let chunk: UInt64 = 1 << 18
    var from = mapping.start
    while from < mapping.end {
      let overlap = UInt64(pattern.count - 1)
      let bytes = memory.bytes(from, count: Int(min(chunk + overlap, mapping.end - from)))
      if let offset = offset(of: pattern, in: bytes) { return from + UInt64(offset) }
      from = from + chunk
    }
    return nil
  }

  private static func offset(of pattern: [UInt8], in bytes: [UInt8]) -> Int? {
    bytes.withUnsafeBytes { all in
      guard let base = all.baseAddress else { return nil }
      var from = 0
      while from + pattern.count <= all.count,
        let hit = memchr(base + from, Int32(pattern[0]), all.count - from - pattern.count + 1)
      {
        if memcmp(hit, pattern, pattern.count) == 0 { return UnsafeRawPointer(hit) - base }
        from = UnsafeRawPointer(hit) - base + 1
      }
      return nil
    }
  }
}

extension TargetMemory {
  /// Reads `count` bytes, or as many as are readable.
  func bytes(_ address: Address, count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = read(address, into: UnsafeMutableRawBufferPointer(buffer))
    }
  }

  /// Reads one word, or nil.
  func load<T: BitwiseCopyable & FixedWidthInteger>(_ address: Address, as type: T.Type = T.self) -> T? {
    let bytes = bytes(address, count: MemoryLayout<T>.size)
    guard bytes.count == MemoryLayout<T>.size else { return nil }
    return bytes.withUnsafeBytes { $0.loadUnaligned(as: T.self) }
  }
}
