// Signal frames as the kernel builds them on x86-64: rt_sigreturn(2) takes all registers of a thread from one at once.
// SPDX-License-Identifier: Apache-2.0
import CLinux

/// The parts of a signal frame that rt_sigreturn(2) reads (the kernel's arch/x86/include/uapi/asm/{ucontext,sigcontext}.h).
enum SignalFrame {
  /// Bytes of the user context, up to and with the signal mask.
  static let contextSize = 304
  /// Offset of `rdi` in the user context.
  static let rdiOffset: UInt64 = 40 + 8 * 8

  /// A user context.
  /// - Parameters:
  ///   - mask: the signals that will be blocked.
  ///   - extended: where a sealed copy of the vector registers lies, or 0 to clear them.
  static func context(_ r: user_regs_struct, mask: UInt64, extended: Address) -> [UInt8] {
    var words: [UInt64] = [
      7,  // uc_flags: UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
      0,  // uc_link
      // uc_stack: flags that don't exist, so that the kernel leaves the thread's alternate stack, which can't be read, alone
      0, 0x7f, 0,
      r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx, r.rsp, r.rip,
      r.eflags, (r.cs & 0xffff) | (r.ss & 0xffff) << 48,
      0, 0, 0, 0,  // err, trapno, oldmask, cr2
      extended.rawValue,
    ]
    words += [UInt64](repeating: 0, count: 8)
    words.append(mask)
    return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
  }

  /// The vector registers in the form that rt_sigreturn(2) accepts: cut after the last component in use, since a thread without
  /// permission for the largest ones may not restore them, and sealed with the kernel's magic numbers (struct _fpx_sw_bytes).
  /// Nil when the area is not what the kernel gives.
  static func sealed(_ area: [UInt8]) -> [UInt8]? {
    guard area.count >= 576 else { return nil }
    let (supported, used) = area.withUnsafeBytes {
      ($0.loadUnaligned(fromByteOffset: 464, as: UInt64.self), $0.loadUnaligned(fromByteOffset: 512, as: UInt64.self))
    }
    var size = 576
    var features: UInt64 = 3
    for component in 2..<63 where used & (1 << component) != 0 {
      let end = Int(mallow_xsave_component_end(UInt32(component)))
      guard end > 576, end <= area.count else { return nil }
      size = max(size, end)
    }
    for component in 2..<63 where supported & (1 << component) != 0 {
      let end = Int(mallow_xsave_component_end(UInt32(component)))
      if end > 576, end <= size { features |= 1 << component }
    }
    var result = Array(area[..<size])
    result.withUnsafeMutableBytes { bytes in
      bytes[464..<512].copyBytes(from: [UInt8](repeating: 0, count: 48))
      bytes.storeBytes(of: 0x4650_5853, toByteOffset: 464, as: UInt32.self)  // FP_XSTATE_MAGIC1
      bytes.storeBytes(of: UInt32(size + 4), toByteOffset: 468, as: UInt32.self)
      bytes.storeBytes(of: features, toByteOffset: 472, as: UInt64.self)
      bytes.storeBytes(of: UInt32(size), toByteOffset: 480, as: UInt32.self)
    }
    return result + [0x45, 0x58, 0x50, 0x46]  // FP_XSTATE_MAGIC2
  }
}
