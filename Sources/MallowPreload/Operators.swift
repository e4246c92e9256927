// C++'s operator new. The linker gives the functions their names in the Itanium C++ ABI (section 5.1.3, see Package.swift); the forms
// of operator delete are other names of free.
// SPDX-License-Identifier: Apache-2.0
import CMallowNew
import MallowAllocator

@c(mallow_new) public func newObject(_ size: Int) -> UnsafeMutableRawPointer { allocateFast(size) ?? mallow_new_slow(size) }

// The forms with std::nothrow return a null pointer at once: a new-handler may throw, which could not be caught here.

@c(mallow_new_nothrow) public func newObjectOrNull(_ size: Int, _: UnsafeRawPointer) -> UnsafeMutableRawPointer? { allocate(size) }

@c(mallow_new_aligned_nothrow)
public func newAlignedObjectOrNull(_ size: Int, _ alignment: Int, _: UnsafeRawPointer) -> UnsafeMutableRawPointer? {
  allocateAligned(size, alignment: alignment)
}
