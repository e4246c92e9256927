// Frames that every stack has and nobody wants to see: the allocation functions at its top, the process's start at its bottom.
// SPDX-License-Identifier: Apache-2.0

extension StackFrame {
  /// The file name of the module.
  public var moduleName: Substring { module.split(separator: "/").last ?? "" }

  /// The file name of the source file.
  public var fileName: Substring? { file.flatMap { $0.split(separator: "/").last } }

  /// Whether this is part of an allocation function, be it C's, C++'s, Swift's or Rust's, or of a container's allocator.
  public var isAllocationInternal: Bool {
    if moduleName.hasPrefix("libmallow.so") { return true }
    // What is before the parameters and after the return type; `operator new` has a blank in it.
    let name = function
    if Self.allocationFunctions.contains(name[...]) { return true }
    if let parameters = name.firstIndex(of: "("), Self.allocationFunctions.contains(name[..<parameters]) { return true }
    return Self.allocationPrefixes.contains { name.hasPrefix($0) } || Self.allocatorParts.contains { name.contains($0) }
  }

  /// Whether this is a function of C++'s or Rust's standard library.
  var isInStandardLibrary: Bool {
    if function.hasPrefix("std::") || function.hasPrefix("__gnu_cxx::") { return true }
    guard let file, file.hasSuffix(".rs") else { return false }
    return file.hasPrefix("library/") || file.contains("/library/") && file.hasPrefix("/rustc/")
  }

  /// Whether this frame only starts a program or thread.
  public var isStart: Bool { Self.startFunctions.contains { function == $0 || function.hasPrefix($0 + "@") } }

  /// The function's name without template arguments and parameter types, for where there is little room:
  /// `std::map<…>::operator[]()`. Short names, and such as have no balanced brackets, stay whole.
  public var compactFunction: String {
    guard function.count > 40 else { return function }
    var result = ""
    var closers: [Character] = []
    for character in function {
      if let closer = closers.last {
        switch character {
        case "<": closers.append(">")
        case "(": closers.append(")")
        case closer:
          closers.removeLast()
          if closers.isEmpty { result += closer == ">" ? "…>" : ")" }
        default: break
        }
      } else if result.hasSuffix("operator") || character == "<" && result.hasSuffix("operator<") {
        result.append(character)
      } else if character == "<" || character == "(" {
        result.append(character)
        closers.append(character == "<" ? ">" : ")")
      } else {
        result.append(character)
      }
    }
    return closers.isEmpty ? result : function
  }

  private static let allocationFunctions: Set<Substring> = [
    "malloc", "calloc", "realloc", "reallocarray", "posix_memalign", "aligned_alloc", "memalign", "valloc", "pvalloc",
    "__libc_malloc", "__libc_calloc", "__libc_realloc", "__libc_memalign", "operator new", "operator new[]",
    "swift_slowAlloc", "swift_slowAllocTyped", "swift_coroFrameAlloc", "swift_allocObject", "_swift_allocObject_",
    "swift_allocBox", "swift_allocEmptyBox", "swift_bufferAllocate", "swift::swift_slowAllocTyped",
    "swift::swift_slowAlloc", "swift::swift_allocBox", "__rust_alloc", "__rust_alloc_zeroed", "__rust_realloc",
    "__rdl_alloc", "__rdl_alloc_zeroed", "__rdl_realloc", "alloc::alloc::alloc", "alloc::alloc::alloc_zeroed",
    "alloc::alloc::exchange_malloc", "alloc::alloc::Global::alloc_impl",
    "<alloc::alloc::Global as core::alloc::Allocator>::allocate",
  ]
  private static let allocationPrefixes = [
    "swift_slowAlloc", "specialized _allocateUninitializedArray", "_allocateUninitializedArray",
    "static UnsafeMutablePointer.allocate(", "static UnsafeMutableRawPointer.allocate(", "ManagedBuffer.", "static ManagedBuffer.",
    "alloc::raw_vec::", "<alloc::raw_vec::", "alloc::alloc::", "<alloc::alloc::Global", "std::__new_allocator<", "__gnu_cxx::new_allocator<", "std::allocator<",
    "std::allocator_traits<", "std::_Vector_base<", "std::__detail::_Hashtable_alloc<",
  ]
  private static let allocatorParts = [
    "std::__allocate_guarded<", "::_M_allocate(", "::_M_allocate_node<", "::_M_get_node(", "::_M_create_storage(",
  ]
  private static let startFunctions = [
    "_start", "__libc_start_main", "__libc_start_main_impl", "__libc_start_call_main", "start_thread", "clone", "clone3",
    "__clone3", "__clone",
  ]
}

extension [StackFrame] {
  /// The stack without the frames of the allocation itself, of the inside of standard libraries, and of the program's or thread's start.
  /// A stack that has no others stays as it is.
  public func trimmed() -> [StackFrame] {
    guard var first = firstIndex(where: { !$0.isAllocationInternal }) else { return self }
    // Of a standard library's frames, the one that the program called is enough.
    if let own = self[first...].firstIndex(where: { !$0.isInStandardLibrary }), own > first + 1, self[own].file != nil { first = own - 1 }
    var result = Array(self[first...])
    while let last = result.last, last.isStart { result.removeLast() }
    // Threads of C++ and programs of Rust are started by frames of the library, these by a C function `main` that has no source.
    if result.count > 1, result[result.count - 1].function == "main", result[result.count - 1].file == nil,
      result[result.count - 2].isInStandardLibrary, result.contains(where: { !$0.isInStandardLibrary && $0.function != "main" })
    {
      result.removeLast()
    }
    if let own = result.lastIndex(where: { !$0.isInStandardLibrary }) { result.removeSubrange((own + 1)...) }
    return result.isEmpty ? self : result
  }

  /// The frame to name where only one can be: the innermost that has source of the program's own, not of a library's headers.
  public func culprit(executable: String) -> StackFrame? {
    let trimmed = trimmed()
    let own = trimmed.first { frame in
      frame.module == executable && frame.file.map { !$0.hasPrefix("/usr/") } ?? false
    }
    return own ?? trimmed.first { $0.file != nil } ?? trimmed.first
  }
}
