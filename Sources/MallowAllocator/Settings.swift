// The environment variables that set the library up, and its start.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// Sets the library up, once, at the first allocation: that may come from the dynamic loader, before anything else has run.
@c(mallow_initialize) @inline(never)
func initialize() {
  if !mallow_compare_exchange32(mallow_initialized(), 0, 1) {
    // Another thread is at it, or this one is and allocates on the way.
    while mallow_load32(mallow_initialized()) == 1 && mallow_state.key_ready == 0 { sched_yield() }
    return
  }
  mallow_state.kernel_page = UInt64(sysconf(Int32(_SC_PAGESIZE)))
  mallow_state.region_bytes = regionSize
  mallow_introspection.key = randomKey()
  mallow_introspection.region_map = UInt64(UInt(bitPattern: mallow_map()))
  mallow_introspection.started = milliseconds()
  makePageTable()
  readSettings()
  if mallow_introspection.profile != 0 {
    makeStackTable()
    UnwindRule.makeCache()
  }
  mallow_state.key_ready = pthread_key_create(&mallow_state.key, threadEnded) == 0 ? 1 : 0
  mallow_publish()
  mallow_introspection.magic = UInt64(MALLOW_LAYOUT_MAGIC)
  mallow_store32(mallow_initialized(), 2)
  // These may allocate, which works from here on.
  pthread_atfork(nil, nil, afterForkInChild)
  if mallow_state.print_statistics != 0 { atexit(printFigures) }
}

/// A secret from the random bytes that the kernel gives each program (getauxval(3), AT_RANDOM).
private func randomKey() -> UInt64 {
  let bytes = mallow_random_bytes()
  let low = bytes == 0 ? milliseconds() : rawPointer(bytes).loadUnaligned(as: UInt64.self)
  let high = bytes == 0 ? UInt64(threadID()) : rawPointer(bytes &+ 8).loadUnaligned(as: UInt64.self)
  return (low &* 0x9E37_79B9_7F4A_7C15) ^ high | 1
}

private func readSettings() {
  mallow_introspection.profile = UInt32(MALLOW_PROFILE_OFF)
  if let value = setting("MALLOW_PROFILE") {
    if equal(value, "off") {
    } else if equal(value, "sampled") {
      mallow_introspection.profile = UInt32(MALLOW_PROFILE_SAMPLED)
    } else if equal(value, "full") {
      mallow_introspection.profile = UInt32(MALLOW_PROFILE_FULL)
    } else {
      complain("MALLOW_PROFILE is none of off, sampled and full; it is off")
    }
  }
  mallow_introspection.sample_interval = number(
    "MALLOW_SAMPLE_INTERVAL", 512 << 10, 1...(1 << 40), "MALLOW_SAMPLE_INTERVAL is not a number of bytes from 1 up; it is 524288")
  mallow_state.purge_delay = number(
    "MALLOW_PURGE_DELAY_MS", 250, 0...3_600_000, "MALLOW_PURGE_DELAY_MS is not a number of milliseconds up to 3600000; it is 250")
  mallow_introspection.hardened = UInt32(number("MALLOW_HARDEN", 0, 0...1, "MALLOW_HARDEN is neither 0 nor 1; it is 0"))
  mallow_state.print_statistics = UInt32(number("MALLOW_STATS", 0, 0...1, "MALLOW_STATS is neither 0 nor 1; it is 0"))
}

private func number(_ name: StaticString, _ standard: UInt64, _ range: ClosedRange<UInt64>, _ complaint: StaticString) -> UInt64 {
  guard let value = setting(name) else { return standard }
  var result: UInt64 = 0
  var index = 0
  while value[index] != 0 {
    let digit = UInt64(UInt8(bitPattern: value[index])) &- 48
    if digit > 9 || index > 18 {
      complain(complaint)
      return standard
    }
    result = result &* 10 &+ digit
    index &+= 1
  }
  if index == 0 || !range.contains(result) {
    complain(complaint)
    return standard
  }
  return result
}

private func equal(_ value: UnsafePointer<CChar>, _ text: StaticString) -> Bool {
  for index in 0..<text.utf8CodeUnitCount where value[index] != CChar(bitPattern: text.utf8Start[index]) { return false }
  return value[text.utf8CodeUnitCount] == 0
}

private func complain(_ text: StaticString) {
  var message = Message()
  message.append("mallow: ")
  message.append(text)
  message.send()
}

/// The value of an environment variable. The loader may allocate before libc knows the environment: the one that the kernel laid
/// above the stack's first word (argc, argv, 0, envp, 0) is there from the start.
private func setting(_ name: StaticString) -> UnsafePointer<CChar>? {
  let name = UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
  if let variables = environ { return mallow_find_setting(name, variables) }
  let top = mallow_stack_end()
  if top == 0 { return nil }
  let arguments = word(at: top)
  let variables = top &+ 8 &* (arguments &+ 2)
  return mallow_find_setting(name, UnsafePointer<UnsafeMutablePointer<CChar>?>(bitPattern: UInt(variables)))
}
