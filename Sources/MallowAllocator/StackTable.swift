// The table of allocation sites: each distinct stack once, found by hash, never removed. Records are appended to one mapping
// whose pages are touched as it fills, and refer to each other by offset.
// SPDX-License-Identifier: Apache-2.0
import CMallow

typealias Stack = UnsafeMutablePointer<mallow_stack>

@inline(__always)
func stack(_ id: UInt32) -> Stack {
  Stack(bitPattern: UInt(mallow_introspection.stacks &+ UInt64(id) &* 8)).unsafelyUnwrapped
}

/// Maps the table; without memory for it nothing is recorded.
func makeStackTable() {
  var size: UInt64 = 1 << 30
  var table = mapMemory(size)
  while table == 0 && size > 1 << 20 {
    size /= 8
    table = mapMemory(size)
  }
  let buckets = mapMemory(UInt64(MALLOW_STACK_BUCKETS) &* 4)
  if table == 0 || buckets == 0 {
    mallow_introspection.profile = UInt32(MALLOW_PROFILE_OFF)
    return
  }
  mallow_introspection.stack_buckets = buckets
  mallow_introspection.stacks_size = size
  mallow_introspection.stacks_used = 8  // id 0 means none
  mallow_publish()
  mallow_introspection.stacks = table
}

/// The id of the running thread's call stack, recorded now if it is new; 0 where the table is full.
func currentStack() -> UInt32 {
  withUnsafeTemporaryAllocation(of: UInt64.self, capacity: Int(MALLOW_STACK_MAX_FRAMES)) { buffer in
    let depth = unwind(into: buffer)
    var hash: UInt64 = UInt64(depth)
    for index in 0..<depth {
      hash = (hash ^ buffer[index]) &* 0x9E37_79B9_7F4A_7C15
      hash ^= hash &>> 29
    }
    let buckets = UnsafeMutablePointer<UInt32>(bitPattern: UInt(mallow_introspection.stack_buckets)).unsafelyUnwrapped
    let bucket = buckets + Int(hash % UInt64(MALLOW_STACK_BUCKETS))
    let known = find(hash, buffer, depth, from: mallow_load32(bucket))
    if known != 0 { return known }

    acquire(mallow_stack_lock())
    defer { release(mallow_stack_lock()) }
    let first = mallow_load32(bucket)
    let meanwhile = find(hash, buffer, depth, from: first)
    if meanwhile != 0 { return meanwhile }
    let size = UInt64(MemoryLayout<mallow_stack>.size) &+ UInt64(depth) &* 8
    let offset = mallow_introspection.stacks_used
    guard offset &+ size <= mallow_introspection.stacks_size else {
      mallow_introspection.stacks_dropped &+= 1
      return 0
    }
    let id = UInt32(offset / 8)
    let record = stack(id)
    record.pointee.hash = hash
    record.pointee.next = first
    record.pointee.depth = UInt32(depth)
    for index in 0..<depth { mallow_stack_frames(record)[index] = buffer[index] }
    mallow_publish()
    mallow_introspection.stacks_used = offset &+ size
    mallow_store32(bucket, id)
    return id
  }
}

private func find(_ hash: UInt64, _ buffer: UnsafeMutableBufferPointer<UInt64>, _ depth: Int, from first: UInt32) -> UInt32 {
  var id = first
  while id != 0 {
    let record = stack(id)
    if record.pointee.hash == hash && Int(record.pointee.depth) == depth {
      var same = true
      for index in 0..<depth where mallow_stack_frames(record)[index] != buffer[index] { same = false }
      if same { return id }
    }
    id = record.pointee.next
  }
  return 0
}
