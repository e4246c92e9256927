// The page table, which holds the descriptor of every slice, and the window of addresses that it covers. Regions lie in the window,
// so that shifting and masking a block's address gives its descriptor. An address elsewhere leads to some descriptor too, which is not
// its own: a page knows where it starts.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Bytes of the window that the table covers at first.
private let firstWindow: UInt64 = 16 << 30
/// The same where the process may have little address space.
private let smallestWindow: UInt64 = 2 << 30
private let largestWindow: UInt64 = 1 << UInt64(MALLOW_WINDOW_BITS)

/// Bytes of the page table for a window of `size` bytes.
private func tableSize(_ size: UInt64) -> UInt64 { size &>> 10 }

/// Chooses the window and maps the table: readable, so that any address may be looked up in it; the parts that regions use are made
/// writable with them. Otherwise a system that commits strictly would charge for all of it.
func makePageTable() {
  var size = firstWindow
  let limit = addressSpaceLimit()
  // A small share of what the process may have.
  while size > smallestWindow && tableSize(size) > limit / 64 { size /= 2 }
  var random = mallow_introspection.key
  for _ in 0..<16 {
    // The table comes first in its window, with room to grow, and the regions after it. The lower 80 TiB are clear of where Linux
    // places programs and libraries by itself.
    random = random &* 0x5851_F42D_4C95_7F2D &+ 0x1405_7B7E_F767_814F
    let window = (1 &+ (random &>> 33) % 80) &<< UInt64(MALLOW_WINDOW_BITS)
    if mapTable(size, at: window) != 0 {
      mallow_state.window = window
      mallow_state.window_limit = largestWindow
      // Regions do not start at the same address in each process. Half of what the table covers is behind the first.
      let places = (size / 2 &- tableSize(largestWindow)) &>> UInt64(MALLOW_REGION_SHIFT)
      let spread = (random &>> 20) % (places &+ 1)
      mallow_state.next_place = window &+ tableSize(largestWindow) &+ spread &<< UInt64(MALLOW_REGION_SHIFT)
      return
    }
  }
  // A system, or a tool like Valgrind, that hands out addresses as it likes: the first region decides where the window is.
  while mapTable(size, at: 0) == 0 && size > smallestWindow { size /= 2 }
  mallow_state.window_limit = size
}

private func mapTable(_ size: UInt64, at place: UInt64) -> UInt64 {
  let table = mapMemory(tableSize(size), at: place, writable: false)
  if table != 0 {
    madvise(pointer(table), Int(tableSize(size)), Int32(MADV_NOHUGEPAGE))
    setTable(table, covering: size)
  }
  return table
}

private func setTable(_ table: UInt64, covering size: UInt64) {
  mallow_introspection.page_table = table
  mallow_introspection.page_mask = tableSize(size) &- 64
  mallow_state.page_table = table
  mallow_state.page_mask = tableSize(size) &- 64
}

private func addressSpaceLimit() -> UInt64 {
  var limit = rlimit()
  return getrlimit(__rlimit_resource_t(UInt32(RLIMIT_AS.rawValue)), &limit) == 0 ? UInt64(limit.rlim_cur) : .max
}

/// The size of the window that the table covers now.
private var coveredWindow: UInt64 { (mallow_state.page_mask &+ 64) &<< 10 }

/// Doubles the table until it covers `size` bytes. What it holds stays where it is, and threads that still use the old mask find
/// all that is there so far. The main lock must be held.
private func growTable(toCover size: UInt64) -> Bool {
  while coveredWindow < size {
    let has = coveredWindow
    if has &* 2 > mallow_state.window_limit { return false }
    let table = mallow_state.page_table
    if mapMemory(tableSize(has), at: table &+ tableSize(has), writable: false) == 0 { return false }
    setTable(table, covering: has &* 2)
  }
  return true
}

/// In a forked child: another thread may have been growing the table, and its next part may be there already.
func mendPageTable() {
  mallow_introspection.page_mask = mallow_state.page_mask
  if mallow_state.window_limit != largestWindow || coveredWindow == largestWindow { return }
  let size = tableSize(coveredWindow)
  unmapMemory(mallow_state.page_table &+ size, size)
}

/// Maps `size` bytes at a multiple of the size of a region inside the window, with writable descriptors; 0 where there is no memory.
/// The main lock must be held.
func mapInWindow(_ size: UInt64) -> UInt64 {
  let base = mallow_state.page_mask == 0 ? 0 : mallow_state.window_limit == largestWindow ? mapUpwards(size) : mapDownwards(size)
  if base == 0 { return 0 }
  let descriptors = Page(ofSliceAt: base).address
  let length = roundUp(size &>> 10, to: mallow_state.kernel_page)
  if mprotect(pointer(descriptors), Int(length), PROT_READ | PROT_WRITE) == 0 { return base }
  unmapMemory(base, size)
  return 0
}

private func mapUpwards(_ size: UInt64) -> UInt64 {
  for _ in 0..<1024 {
    let place = mallow_state.next_place
    guard growTable(toCover: place &+ regionSize &- mallow_state.window) else { return 0 }
    let base = mapMemory(size, at: place)
    let isTaken = base == 0 && __errno_location().pointee == EEXIST
    if base != 0 || isTaken { mallow_state.next_place = place &+ regionSize }
    if !isTaken { return base }
  }
  return 0
}

/// Without a window of its own: where the system places mappings, which is mostly below the last one.
private func mapDownwards(_ size: UInt64) -> UInt64 {
  let mask = ~(mallow_state.window_limit &- 1)
  if mallow_state.next_place == 0 {
    let base = mapAligned(size, alignment: regionSize)
    if base == 0 { return 0 }
    mallow_state.window = base & mask
    mallow_state.next_place = base
    return base
  }
  for _ in 0..<1024 {
    // Below the last place, and from the window's lower end on to its upper one.
    let below = mallow_state.next_place &- regionSize
    let place = below & mask == mallow_state.window ? below : mallow_state.window | (~mask & ~(regionSize &- 1))
    let isOurs = regionRecord(of: place).pointee != 0
    let isBeyond = place &+ regionSize >= 1 &<< UInt64(MALLOW_ADDRESS_BITS) || place == 0
    let base = isOurs || isBeyond ? 0 : mapMemory(size, at: place)
    let isTaken = base == 0 && (isOurs || isBeyond || __errno_location().pointee == EEXIST)
    if base != 0 || isTaken { mallow_state.next_place = place }
    if !isTaken { return base }
  }
  return 0
}
