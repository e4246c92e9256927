// While a program runs, signals to Mallow are the program's.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The descriptor of the process that signals are passed on to, or -1. A signal handler reads it.
nonisolated(unsafe) private var recipient: Int32 = -1

/// Ignores what the terminal sends to Mallow and the program both, and passes on what is meant for the program.
final class SignalForwarding {
  private var saved: [(signal: Int32, action: sigaction)] = []

  init(to process: Int32) {
    recipient = mallow_pidfd_open(process)
    for signal in [SIGINT, SIGQUIT] { install(signal) { $0.__sigaction_handler.sa_handler = SIG_IGN } }
    for signal in [SIGTERM, SIGHUP, SIGUSR1, SIGUSR2] {
      install(signal) { action in
        action.sa_flags = SA_SIGINFO | SA_RESTART
        action.__sigaction_handler.sa_sigaction = { signal, information, _ in
          // A positive code is the kernel's: a terminal has hung up, and the program has been told as well.
          if let information, information.pointee.si_code > 0 { return }
          let error = errno
          _ = mallow_pidfd_signal(recipient, signal)
          errno = error
        }
      }
    }
  }

  deinit { restore() }

  /// Makes signals mean to Mallow what they meant before.
  func restore() {
    for (signal, action) in saved { withUnsafePointer(to: action) { _ = sigaction(signal, $0, nil) } }
    saved = []
    if recipient >= 0 { close(recipient) }
    recipient = -1
  }

  private func install(_ signal: Int32, _ change: (inout sigaction) -> Void) {
    var action = sigaction()
    var old = sigaction()
    change(&action)
    guard sigaction(signal, nil, &old) == 0 else { return }
    // Ignored from the start, as under nohup: it stays so, for the program as well.
    if unsafeBitCast(old.__sigaction_handler.sa_handler, to: Int.self) == 1 { return }
    guard sigaction(signal, &action, nil) == 0 else { return }
    saved.append((signal, old))
  }
}
