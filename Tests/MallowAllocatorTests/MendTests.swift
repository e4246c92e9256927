// SPDX-License-Identifier: Apache-2.0
import CMallow
import Testing

@testable import MallowAllocatorHosted

extension AllocatorTests {
  /// A fork that caught another thread under the main lock, at any place: what can be told from the records is made anew.
  @Test func aChildMendsWhatAThreadLeftHalfDone() {
    let huge = (0..<4).map { allocate((33 + $0) << 20) }
    let spans = (0..<20).map { allocate(100_000 * ($0 + 1)) }
    for index in stride(from: 0, to: 20, by: 2) { deallocate(spans[index]) }
    deallocate(huge[1])
    deallocate(huge[2])
    let last = mallow_state.last_region
    let before = checkSlices()
    mallow_state.last_region = mallow_introspection.regions
    mallow_state.unused_records = 0
    mallow_state.first_free = last
    mallow_state.first_dirty = last
    mallow_state.dirty_free = 0
    mendRegions()
    #expect(mallow_state.last_region == last)
    #expect(checkSlices() == before)
    // The records of the two freed blocks are used again, and the list keeps its length.
    let again = (0..<2).map { allocate((33 + $0) << 20) }
    #expect(mallow_state.last_region == last)
    for block in again + [huge[0], huge[3]] { deallocate(block) }
    for index in stride(from: 1, to: 20, by: 2) { deallocate(spans[index]) }
    checkSlices()
  }
}
