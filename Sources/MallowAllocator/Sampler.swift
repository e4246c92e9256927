// Which allocations get their stack recorded. Each byte allocated starts a record with the same small chance (a Poisson
// process), so a block of size s is sampled with probability 1 - exp(-s / interval), and dividing by it makes every sum an
// unbiased estimate. The classes run independent processes: together they are one process over all bytes.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Bytes until the next sample of a class: exponentially distributed.
func nextSample(_ heap: Heap) -> Int64 {
  if mallow_introspection.profile != UInt32(MALLOW_PROFILE_SAMPLED) { return Int64.max / 2 }
  // xorshift64*, Vigna 2016
  var x = heap.pointee.random
  x ^= x &>> 12
  x ^= x &<< 25
  x ^= x &>> 27
  heap.pointee.random = x
  let bits = (x &* 0x2545_F491_4F6C_DD1D) &>> 11
  let uniform = (Double(bits) + 1) / 9_007_199_254_740_992  // in (0, 1]
  let draw = -logarithm(uniform) * Double(mallow_introspection.sample_interval)
  return draw < 1 ? 1 : Int64(draw)
}

/// The bytes by which an allocation of `size` counts: its whole block's, where pages of equal blocks serve that size.
private func countedSize(_ size: UInt64) -> UInt64 {
  size <= largestBlock ? blockSize(ofClass: sizeClass(of: size)) : size
}

/// The class whose samples an allocation of `size` bytes counts towards where it is not served by that class's page.
func sampleClass(of size: UInt64) -> Int {
  size <= largestBlock ? sizeClass(of: size) : Int(MALLOW_CLASS_COUNT)
}

/// Counts an allocation of `size` bytes towards the next sample of `class`.
func sampleIsDue(_ heap: Heap, class index: Int, size: UInt64) -> Bool {
  if mallow_introspection.profile != UInt32(MALLOW_PROFILE_SAMPLED) { return false }
  let untilSample = mallow_heap_until_sample(heap) + index
  untilSample.pointee &-= Int64(countedSize(size))
  if untilSample.pointee >= 0 { return false }
  untilSample.pointee = nextSample(heap)
  return true
}

/// The natural logarithm of a value in (0, 1]; libm is not at hand.
func logarithm(_ value: Double) -> Double {
  var mantissa = value.significand
  var exponent = Double(value.exponent)
  if mantissa > 1.414213562373095 {
    mantissa /= 2
    exponent += 1
  }
  let s = (mantissa - 1) / (mantissa + 1)
  let square = s * s
  var term = s
  var sum = 0.0
  var divisor = 1.0
  while divisor < 22 {
    sum += term / divisor
    term *= square
    divisor += 2
  }
  return exponent * 0.6931471805599453 + 2 * sum
}

/// e to the power of `-value`, for values from 0 up.
func exponential(ofMinus value: Double) -> Double {
  if value > 40 { return 0 }
  var x = value
  var squarings = 0
  while x > 0.0625 {
    x /= 2
    squarings &+= 1
  }
  var result = 1 - x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5 * (1 - x / 6 * (1 - x / 7))))))
  for _ in 0..<squarings { result *= result }
  return result
}

/// How many blocks, in 1/1024, and bytes a recorded block of `size` bytes stands for.
func weight(of size: UInt64) -> (count: UInt64, bytes: UInt64) {
  if mallow_introspection.profile != UInt32(MALLOW_PROFILE_SAMPLED) { return (1024, size) }
  let chance = 1 - exponential(ofMinus: Double(countedSize(size)) / Double(mallow_introspection.sample_interval))
  return (UInt64(1024 / chance + 0.5), UInt64(Double(size) / chance + 0.5))
}

/// Takes the stack of an allocation.
/// - Returns: the stack's id, 0 where it could not be recorded.
func recordStack(_ heap: Heap) -> UInt32 {
  if heap.pointee.in_sampler != 0 || mallow_introspection.stacks == 0 { return 0 }
  heap.pointee.in_sampler = 1
  defer { heap.pointee.in_sampler = 0 }
  return currentStack()
}

/// Counts an allocation at its site.
func noteAllocation(_ id: UInt32, size: UInt64) {
  if id == 0 { return }
  let stack = stack(id)
  let weight = weight(of: size)
  mallow_add(mallow_stack_allocations(stack), weight.count)
  let allocated = mallow_add(mallow_stack_allocated_bytes(stack), weight.bytes) &+ weight.bytes
  let live = allocated &- mallow_load(mallow_stack_freed_bytes(stack))
  if Int64(bitPattern: live &- stack.pointee.peak_bytes) > 0 { stack.pointee.peak_bytes = live }
}

/// Counts the free of a recorded block at its site.
/// - Parameter profileWord: the stack's id in the low half.
func noteFree(profileWord: UInt64, size: UInt64, block: UInt64 = 0) {
  let id = UInt32(truncatingIfNeeded: profileWord)
  if id == 0 || UInt64(id) &* 8 >= mallow_introspection.stacks_used { return }
  let stack = stack(id)
  let weight = weight(of: size)
  mallow_add(mallow_stack_frees(stack), weight.count)
  mallow_add(mallow_stack_freed_bytes(stack), weight.bytes)
  let heap: Heap = mallow_thread_heap
  if block != 0 && !heap.isEmptyHeap && heap.pointee.last_recorded == block {
    mallow_add(mallow_stack_temporary(stack), weight.count)
    heap.pointee.last_recorded = 0
  }
}
