// What is said of a pointer that was not allocated, or was freed already: one line on standard error, then abort.
// SPDX-License-Identifier: Apache-2.0
import CMallow

/// A line of text on the stack, since nothing may be allocated.
struct Message {
  private var bytes = InlineArray<512, UInt8>(repeating: 0)
  private var count = 0

  mutating func append(_ text: StaticString) {
    for index in 0..<text.utf8CodeUnitCount { append(text.utf8Start[index]) }
  }

  mutating func append(_ byte: UInt8) {
    if count < 511 {
      bytes[count] = byte
      count &+= 1
    }
  }

  mutating func append(decimal value: UInt64) {
    if value >= 10 { append(decimal: value / 10) }
    append(UInt8(48 &+ value % 10))
  }

  mutating func append(address: UInt64) {
    append("0x")
    var shift = 60
    while shift > 0 && address &>> UInt64(shift) == 0 { shift &-= 4 }
    while shift >= 0 {
      let digit = UInt8(address &>> UInt64(shift) & 15)
      append(digit < 10 ? 48 &+ digit : 87 &+ digit)
      shift &-= 4
    }
  }

  /// Writes the line to standard error in one system call.
  mutating func send() {
    bytes[count] = 10
    let length = count &+ 1
    withUnsafePointer(to: &bytes) { _ = write(2, $0, length) }
  }
}

private func begin(_ function: StaticString, _ block: UInt64) -> Message {
  var message = Message()
  message.append("mallow: ")
  message.append(function)
  message.append("(")
  message.append(address: block)
  message.append("): ")
  return message
}

private func stop(_ message: consuming Message) -> Never {
  message.send()
  abort()
}

func reportDoubleFree(_ function: StaticString, _ block: UInt64, _ size: UInt64) -> Never {
  var message = begin(function, block)
  message.append("double free: this block of ")
  message.append(decimal: size)
  message.append(" bytes was freed already")
  stop(message)
}

/// An address in one of the heap's regions where no live block starts.
func reportInvalid(_ function: StaticString, _ block: UInt64, _ page: Page) -> Never {
  var message = begin(function, block)
  switch Int32(page.pointee.kind) {
  case MALLOW_PAGE_BLOCKS:
    let size = page.blockSize
    let index = (block &- page.start) / size
    let start = page.start &+ index &* size
    if index >= UInt64(page.pointee.carved) {
      message.append("invalid pointer: heap memory that was never allocated")
    } else {
      let isFree = page.hasFreeMark(start)
      message.append("invalid pointer: ")
      message.append(decimal: block &- start)
      message.append(isFree ? " bytes into the freed block of " : " bytes into the block of ")
      message.append(decimal: size)
      message.append(" bytes at ")
      message.append(address: start)
    }
  case MALLOW_PAGE_SPAN:
    message.append("invalid pointer: ")
    message.append(decimal: block &- page.start)
    message.append(" bytes into the block at ")
    message.append(address: page.start)
  case MALLOW_PAGE_FREE, MALLOW_PAGE_CACHED:
    message.append("invalid pointer or double free: no block is allocated there any more")
  default:
    message.append("invalid pointer: the allocator's own memory")
  }
  stop(message)
}

func reportInsideHuge(_ function: StaticString, _ block: UInt64) -> Never {
  var message = begin(function, block)
  message.append("invalid pointer: inside a large block, not its start")
  stop(message)
}

/// An address outside the heap: says what lies there.
func reportForeign(_ function: StaticString, _ block: UInt64) -> Never {
  var message = begin(function, block)
  message.append("invalid pointer: not a block of the heap; it lies in ")
  appendMapping(of: block, to: &message)
  stop(message)
}

func reportCorruption(_ block: UInt64, _ what: StaticString) -> Never {
  var message = Message()
  message.append("mallow: heap corruption: block ")
  message.append(address: block)
  message.append(": ")
  message.append(what)
  stop(message)
}

/// Appends the name of the mapping that contains `address`, as /proc/self/maps (proc(5)) has it.
private func appendMapping(of address: UInt64, to message: inout Message) {
  let file = mallow_open_maps()
  if file < 0 {
    message.append("no part of the heap")
    return
  }
  var search = MappingSearch(address: address)
  var byte: UInt8 = 0
  // Byte by byte: this is the last that the process does, and needs no buffer.
  while !search.isDone && read(file, &byte, 1) == 1 { search.take(byte, into: &message) }
  close(file)
  if !search.isDone { message.append("no mapping at all") }
}

/// Parses lines of "start-end permissions offset device inode name" as they stream by.
private struct MappingSearch {
  let address: UInt64
  var isDone = false
  private var start: UInt64 = 0
  private var end: UInt64 = 0
  private var field = 0
  private var isInside = false
  private var isInGap = false
  private var isNamed = false

  init(address: UInt64) { self.address = address }

  mutating func take(_ byte: UInt8, into message: inout Message) {
    if byte == 10 {
      if isInside && !isNamed { message.append("anonymous memory") }
      isDone = isInside
      start = 0
      end = 0
      field = 0
      isInside = false
      isInGap = false
      isNamed = false
      return
    }
    if byte == 32 {
      isInGap = true
      return
    }
    if isInGap {
      isInGap = false
      field &+= 1
      if field == 1 { isInside = address >= start && address < end }
    }
    if field == 0 {
      if byte == 45 {
        start = end
        end = 0
      } else {
        end = end &<< 4 | UInt64(byte >= 97 ? byte &- 87 : byte &- 48)
      }
    } else if field >= 5 && isInside {
      message.append(byte)
      isNamed = true
    }
  }
}
