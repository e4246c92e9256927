// What the kernel's texts say of the words that it holds.
// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ProcessImage

@Suite struct KernelHeldWordTests {
  @Test func epoll() {
    let text = """
      pos:\t0
      flags:\t02
      mnt_id:\t15
      tfd:        5 events:       19 data:     55d0c0ffee10  pos:0 ino:3d sdev:d
      tfd:        6 events: 80000019 data: ffffffffffffffff  pos:0 ino:3d sdev:d
      tfd: damaged

      """
    #expect(KernelHeldWord.epoll(text) == [KernelHeldWord(.epoll, 0x55d0_c0ff_ee10), KernelHeldWord(.epoll, .max)])
    #expect(KernelHeldWord.epoll("") == [])
  }

  @Test func timers() {
    let text = """
      ID: 0
      signal: 60/00007fff86e452a8
      notify: signal/pid.2634
      ClockID: 0
      ID: 1
      signal: none

      """
    #expect(KernelHeldWord.timers(text) == [KernelHeldWord(.timer, 0x7fff_86e4_52a8)])
  }

  @Test func ioUring() {
    let text = """
      SqMask:\t0x7
      SQEs:\t1
          0: opcode:READ, fd:4, flags:0, off:0, addr:0x7ffc12, rw_flags:0x0, buf_index:0 user_data:94560133
      CQEs:\t1
          0: user_data:94560134, res:0, flags:0

      """
    #expect(KernelHeldWord.ioUring(text) == [KernelHeldWord(.ioUring, 94_560_133), KernelHeldWord(.ioUring, 94_560_134)])
  }
}
