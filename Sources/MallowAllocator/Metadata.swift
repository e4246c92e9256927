// Memory for the allocator's own records (heaps, regions): bump allocation from mapped chunks, never given back.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Zeroed memory for a record, or 0. The main lock must be held.
func allocateMetadata(_ size: UInt64) -> UInt64 {
  let rounded = roundUp(size, to: 64)
  if mallow_state.metadata_end < mallow_state.metadata_next || mallow_state.metadata_end &- mallow_state.metadata_next < rounded {
    var chunk: UInt64 = 128 << 10
    var start = mapMemory(chunk)
    if start == 0 {
      chunk = roundUp(rounded &+ 64, to: 65536)
      start = mapMemory(chunk)
      if start == 0 { return 0 }
    }
    setWord(at: start, mallow_introspection.metadata)
    setWord(at: start &+ 8, chunk)
    mallow_publish()
    mallow_introspection.metadata = start
    mallow_state.metadata_end = 0  // a fork in between must not find the end of one chunk with the start of another
    mallow_publish()
    mallow_state.metadata_next = start &+ 64
    mallow_publish()
    mallow_state.metadata_end = start &+ chunk
  }
  let record = mallow_state.metadata_next
  mallow_state.metadata_next = record &+ rounded
  return record
}
