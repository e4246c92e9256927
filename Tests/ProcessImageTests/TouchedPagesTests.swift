// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ProcessImage

@Suite struct TouchedPagesTests {
  @Test func findsWhatWasTouchedInALargeReservation() throws {
    let size = 1 << 36
    let memory = try #require(
      mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0).flatMap { $0 == MAP_FAILED ? nil : $0 })
    defer { munmap(memory, size) }
    let start = Address(UInt64(UInt(bitPattern: memory)))
    madvise(memory, size, MADV_NOHUGEPAGE)
    for page in [0, 1, 5000, (size >> 12) - 1] { memory.storeBytes(of: 1, toByteOffset: page << 12, as: UInt8.self) }
    let found = TouchedPages(thread: getpid()).ranges(in: start..<start + UInt64(size))
    #expect(
      found == [
        start..<start + 8192, start + (5000 << 12)..<start + (5001 << 12), start + UInt64(size) - 4096..<start + UInt64(size),
      ])
  }

  @Test func anUnknownProcessCountsAsTouched() {
    let range = Address(4096)..<Address(8192)
    #expect(TouchedPages(thread: -1).ranges(in: range) == [range])
  }
}
