// C++'s operator new, by its names in the Itanium C++ ABI (section 5.1.3). The forms of operator delete, and those of new that take
// the same arguments, are aliases made by the linker (see Package.swift).
// SPDX-License-Identifier: Apache-2.0
import CMallow
import MallowAllocator

/// Where new finds no memory: calls the new-handler until it has made room, and throws std::bad_alloc where there is none, as
/// [new.delete.single] says. Both live in the C++ library, which this library does not link with.
@c(mallow_new_failed) @inline(never)
func newFailed(_ size: Int, _ alignment: Int) -> UnsafeMutableRawPointer? {
  while let handler = mallow_new_handler() {
    handler()
    if let block = allocateAligned(size, alignment: alignment) { return block }
  }
  mallow_throw_bad_alloc()
}

// The forms with std::nothrow return a null pointer at once: a new-handler may throw, which could not be caught here.

@c(_Znwm) public func newObject(_ size: Int) -> UnsafeMutableRawPointer? { allocate(size) ?? newFailed(size, 16) }

@c(_ZnwmRKSt9nothrow_t) public func newObjectOrNull(_ size: Int, _: UnsafeRawPointer) -> UnsafeMutableRawPointer? { allocate(size) }

@c(_ZnwmSt11align_val_t) public func newAlignedObject(_ size: Int, _ alignment: Int) -> UnsafeMutableRawPointer? {
  allocateAligned(size, alignment: alignment) ?? newFailed(size, alignment)
}

@c(_ZnwmSt11align_val_tRKSt9nothrow_t)
public func newAlignedObjectOrNull(_ size: Int, _ alignment: Int, _: UnsafeRawPointer) -> UnsafeMutableRawPointer? {
  allocateAligned(size, alignment: alignment)
}
