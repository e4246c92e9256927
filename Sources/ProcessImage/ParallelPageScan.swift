// Scans pages in two threads: large processes take tens of milliseconds, and while mappings are still read a processor is idle.
// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A queue of ranges to scan. A second thread works on it from the second range on; the caller joins in at the end.
final class ParallelPageScan: @unchecked Sendable {
  private let pagemap: Int32
  private var mutex = pthread_mutex_t()
  private var hasWork = pthread_cond_t()
  /// All below are guarded by the mutex.
  private var ranges: [Range<UInt64>] = []
  private var results: [[FoundPages]] = []
  private var next = 0
  private var isComplete = false
  private var failure: Int32 = 0
  /// The second thread; used by the caller only.
  private var helper: pthread_t?

  /// - Parameter pagemap: a descriptor of /proc/PID/pagemap, which stays open until the end.
  init(_ pagemap: Int32) {
    self.pagemap = pagemap
    pthread_mutex_init(&mutex, nil)
    pthread_cond_init(&hasWork, nil)
  }

  deinit {
    pthread_mutex_destroy(&mutex)
    pthread_cond_destroy(&hasWork)
  }

  /// Adds ranges, which lie above all those before.
  func add(_ more: [Range<UInt64>]) {
    locked {
      ranges += more
      results += Array(repeating: [], count: more.count)
    }
    if helper == nil, ranges.count > 1 { startHelper() }
    pthread_cond_signal(&hasWork)
  }

  /// The pages that are present or swapped out, in address order; nil with `errno` where the kernel can't tell.
  func finish() -> [FoundPages]? {
    locked { isComplete = true }
    pthread_cond_signal(&hasWork)
    work()
    if let helper { pthread_join(helper, nil) }
    helper = nil
    errno = failure
    guard failure == 0 else { return nil }
    var found: [FoundPages] = []
    found.reserveCapacity(results.reduce(0) { $0 + $1.count })
    for result in results { found += result }
    return found
  }

  private func locked<R>(_ body: () -> R) -> R {
    pthread_mutex_lock(&mutex)
    defer { pthread_mutex_unlock(&mutex) }
    return body()
  }

  private func startHelper() {
    var thread = pthread_t()
    let pointer = Unmanaged.passUnretained(self).toOpaque()
    let code = pthread_create(
      &thread, nil,
      { pointer in
        Unmanaged<ParallelPageScan>.fromOpaque(pointer!).takeUnretainedValue().work()
        return nil
      }, pointer)
    // Without a second thread the caller does it all.
    if code == 0 { helper = thread }
  }

  /// Scans ranges until there will be no more.
  private func work() {
    var scan = PageScan(pagemap)
    while let (index, range) = take() {
      let found = scan.scan(range)
      let code = errno
      locked {
        if let found { results[index] = found } else { failure = code == 0 ? EIO : code }
      }
    }
  }

  private func take() -> (Int, Range<UInt64>)? {
    locked {
      while next == ranges.count, !isComplete, failure == 0 { pthread_cond_wait(&hasWork, &mutex) }
      guard next < ranges.count, failure == 0 else { return nil }
      next += 1
      return (next - 1, ranges[next - 1])
    }
  }
}
