// SPDX-License-Identifier: Apache-2.0
import CMallow
import Foundation
import Testing

@testable import MallowAllocatorHosted

/// Return addresses of this very place, by the unwinder.
@inline(never)
private func unwoundHere() -> [UInt64] {
  var buffer = [UInt64](repeating: 0, count: Int(MALLOW_STACK_MAX_FRAMES))
  let depth = buffer.withUnsafeMutableBufferPointer { unwind(into: $0) }
  return Array(buffer.prefix(depth))
}

@inline(never)
private func recurse(_ depth: Int) -> [UInt64] {
  if depth == 0 { return unwoundHere() }
  let result = recurse(depth - 1)
  return result + []
}

/// How many entries occur at least twice: the frames of the recursion.
private func repeated(_ stack: [UInt64]) -> Int {
  Dictionary(grouping: stack, by: { $0 }).values.map(\.count).max() ?? 0
}

/// libc's own unwinder, as the reference.
private func backtraceOfLibc() -> [UInt64] { Thread.callStackReturnAddresses.map { UInt64(truncating: $0) } }

extension AllocatorTests {
  @Suite struct UnwinderTests {
    @Test func everyFrameOfARecursionIsThere() {
      if mallow_state.rule_cache == 0 { UnwindRule.makeCache() }
      for depth in [1, 10, 40] {
        // Twice: without the cached rules, and with them.
        for _ in 0..<2 { #expect(repeated(recurse(depth)) == max(depth - 1, 1) || repeated(recurse(depth)) == depth) }
      }
    }

    /// Through libc's qsort, which is compiled without frame pointers, up to the thread's start.
    @Test func codeWithoutFramePointersIsPassed() {
      nonisolated(unsafe) var ours: [UInt64] = []
      nonisolated(unsafe) var reference: [UInt64] = []
      inThreads(1) { _ in
        var values: [Int32] = [2, 1]
        unwinderResult = ([], [])
        qsort(&values, 2, 4) { _, _ in
          unwinderResult = (unwoundHere(), backtraceOfLibc())
          return 0
        }
        (ours, reference) = unwinderResult
      }
      // From qsort's caller outwards both must tell the same; the innermost frames are those of the helpers.
      let common = min(ours.count, reference.count) - 3
      #expect(common >= 4)
      #expect(ours.suffix(max(common, 1)) == reference.suffix(max(common, 1)))
    }
  }
}

nonisolated(unsafe) private var unwinderResult: ([UInt64], [UInt64]) = ([], [])
