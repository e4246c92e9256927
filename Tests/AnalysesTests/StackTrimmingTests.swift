// What is cut from stacks, and what never is.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Testing

/// A heap with one damaged list.
struct BuiltHeapWithDamage {
  func diagnoses() throws -> [Diagnosis] {
    let heap = BuiltHeap()
    let block = heap.allocate(48)
    heap.free(block)
    heap.image.write(1 as UInt64, at: block)
    return try heap.read().diagnoses
  }
}

@Suite struct StackTrimmingTests {
  func names(_ functions: String...) -> [String] { functions.map { StackFrame(function: $0) }.trimmed().map(\.function) }

  @Test func allocationAndStartAreCut() {
    #expect(names("malloc", "lose", "main", "__libc_start_call_main", "__libc_start_main@@GLIBC_2.34", "_start") == ["lose", "main"])
    #expect(names("operator new(unsigned long)", "make()", "main") == ["make()", "main"])
    #expect(names("operator new[](unsigned long)", "std::__new_allocator<int>::allocate(unsigned long, void const*)", "f") == ["f"])
    #expect(names("swift_slowAlloc", "swift_allocObject", "Session.__allocating_init()", "main") == ["Session.__allocating_init()", "main"])
    #expect(names("__rust_alloc", "alloc::alloc::Global::alloc_impl", "alloc::raw_vec::finish_grow", "app::load") == ["app::load"])
    #expect(names("malloc", "work", "start_thread", "clone3") == ["work"])
  }

  @Test func ofALibrarysFramesTheOneThatWasCalledStays() {
    func frame(_ function: String, _ file: String?) -> StackFrame { StackFrame(function: function, file: file, line: 1) }
    let library = "/rustc/59807616/library/"
    let rust = [
      frame("alloc::alloc::alloc", library + "alloc/src/alloc.rs"), frame("<alloc::alloc::Global>::alloc_impl", library + "alloc/src/alloc.rs"),
      frame("alloc::boxed::Box<T>::new", library + "alloc/src/boxed.rs"), frame("alloc::rc::Rc<T>::new", library + "alloc/src/rc.rs"),
      frame("app::cycle", "/src/main.rs"), frame("app::main", "/src/main.rs"),
      frame("core::ops::function::FnOnce::call_once", library + "core/src/ops/function.rs"),
      frame("std::rt::lang_start_internal", "library/std/src/rt.rs"), frame("main", nil), frame("_start", nil),
    ]
    #expect(rust.trimmed().map(\.function) == ["alloc::rc::Rc<T>::new", "app::cycle", "app::main"])
    let thread = [
      frame("operator new(unsigned long)", nil), frame("std::__detail::f()", nil), frame("std::make_shared<Session>()", nil),
      frame("work()", "/src/work.cpp"), frame("std::thread::_State_impl<A>::_M_run()", "/usr/include/c++/12/thread"), frame("clone3", nil),
    ]
    #expect(thread.trimmed().map(\.function) == ["std::make_shared<Session>()", "work()"])
  }

  @Test func cyclesAreCountedOnceForAllTheirGroups() {
    var session = LeakGroup(kind: .cycle, count: BlockCount(blocks: 3, bytes: 144))
    session.cycles = 3
    session.cycleNumbers = [1, 2, 3]
    var other = session
    other.cycles = 1
    other.cycleNumbers = [4]
    #expect([session, session, other].cycleCount == 4)
  }

  @Test func theProgramsOwnFramesStay() {
    let insert = "std::vector<int, std::allocator<int> >::push_back(int const&)"
    #expect(names("malloc", insert, "main") == [insert, "main"])
    #expect(names("mallocator", "clone_tree", "main") == ["mallocator", "clone_tree", "main"])
    #expect(names("strdup", "main") == ["strdup", "main"])
    #expect(names("f", "malloc", "main") == ["f", "malloc", "main"])
  }

  @Test func stacksWithNothingElseStayWhole() {
    #expect(names("malloc", "calloc") == ["malloc", "calloc"])
    #expect(names("malloc", "_start") == ["malloc", "_start"])
    #expect([StackFrame]().trimmed().isEmpty)
  }

  @Test func framesOfTheLibraryAreCutByModule() {
    let stack = [StackFrame(function: "whatever", module: "/opt/lib/libmallow.so"), StackFrame(function: "f", module: "/bin/a")]
    #expect(stack.trimmed().map(\.function) == ["f"])
  }

  @Test(arguments: [
    ("short<int>(char)", "short<int>(char)"),
    ("std::map<std::string, std::vector<int> >::operator[](std::string const&)", "std::map<…>::operator[]()"),
    ("std::ostream& std::operator<< <std::char_traits<char> >(std::ostream&)", "std::ostream& std::operator<< <…>()"),
    ("Server.accept(connection:from:withTimeout:andOptions:)", "Server.accept()"),
    ("bool operator<(Some::Very::Long::Name const&, Other const&)", "bool operator<()"),
    ("Comparator::operator()(Some::Very::Long::Name const&, int) const", "Comparator::operator()() const"),
    ("a name that is cut off in its arguments (int, unsigned", "a name that is cut off in its arguments (int, unsigned"),
  ]) func longNamesAreMadeCompact(name: String, compact: String) {
    #expect(StackFrame(function: name).compactFunction == compact)
  }

  @Test func theCulpritHasSourceOfTheProgram() {
    let stack = [
      StackFrame(function: "strdup", file: "strdup.c", line: 42, module: "/lib/libc.so.6"),
      StackFrame(function: "std::string::string()", file: "/usr/include/c++/12/string", line: 9, module: "/bin/a"),
      StackFrame(function: "name", file: "/src/name.c", line: 7, module: "/bin/a"),
    ]
    #expect(stack.culprit(executable: "/bin/a")?.function == "name")
    #expect(stack.culprit(executable: "/bin/b")?.function == "strdup")
  }
}

@Suite struct SiteTests {
  struct Names: StackSymbolizing {
    func frames(_ returnAddresses: [Address]) -> [StackFrame] { returnAddresses.map { StackFrame(function: "f\($0.rawValue)") } }
  }

  @Test func sitesAreSortedByWhatTheyHold() throws {
    let heap = BuiltHeap()
    _ = heap.addStack([1], allocations: 10, bytes: 1000, frees: 4, freedBytes: 400)
    _ = heap.addStack([2], allocations: 2, bytes: 4000)
    _ = heap.addStack([3], allocations: 5, bytes: 5000, frees: 5, freedBytes: 5000)
    let sites = try Sites(heap.read().stacks, limit: 1, symbolizer: Names())
    #expect(sites.largest.map(\.stack) == [[StackFrame(function: "f2")]])
    #expect(sites.largest[0].total == BlockCount(blocks: 2, bytes: 4000))
    #expect(sites.count == 2)
    #expect(sites.live == BlockCount(blocks: 8, bytes: 4600))
  }
}
