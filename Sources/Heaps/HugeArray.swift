// An array that is visited in no order: on huge pages, which spare the processor most of the search for an address.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A fixed number of trivial elements, without checks of bounds.
public final class HugeArray<Element: BitwiseCopyable> {
  public let base: UnsafeMutablePointer<Element>
  public let count: Int
  private static var alignment: Int { 2 << 20 }

  public init(repeating element: Element, count: Int) {
    let bytes = max(count * MemoryLayout<Element>.stride, 1)
    let isLarge = bytes >= Self.alignment
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: isLarge ? Self.alignment : 64)
    // Only a hint: where there are no huge pages, small ones do.
    if isLarge { madvise(memory, bytes, MADV_HUGEPAGE) }
    base = memory.bindMemory(to: Element.self, capacity: count)
    base.initialize(repeating: element, count: count)
    self.count = count
  }

  deinit { UnsafeMutableRawPointer(base).deallocate() }

  @inlinable
  public subscript(index: Int) -> Element {
    get { base[index] }
    set { base[index] = newValue }
  }
}
