// C++'s operator new. The linker gives the functions their names in the Itanium C++ ABI (section 5.1.3, see Package.swift); the forms
// of operator delete are other names of free.
// SPDX-License-Identifier: Apache-2.0
import CMallowNew
import MallowAllocator

@c(mallow_new) public func newObject(_ size: Int) -> UnsafeMutableRawPointer? {
  allocate(size, orElse: { $1.undoCount(); return mallow_new_slow($0) }, orLarger: { mallow_new_slow($0) })
}

@c(mallow_new_nothrow) public func newObjectOrNull(_ size: Int, _ tag: UnsafeRawPointer) -> UnsafeMutableRawPointer? {
  allocate(size, orElse: { $1.undoCount(); return mallow_new_nothrow_slow($0, tag) }, orLarger: { mallow_new_nothrow_slow($0, tag) })
}
