// System calls and structures that Swift can't reach by itself: variadic functions and macros of the kernel's headers.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/ioctl.h>
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

// Defining _GNU_SOURCE here would make libc's headers differ from those that Swift's Glibc module was built with.
extern int execvpe(const char *file, char *const arguments[], char *const environment[]);

// Requests, options and events of ptrace(2), whose names are enumerators or macros in libc's header.
enum {
  MALLOW_PTRACE_CONT = 7,
  MALLOW_PTRACE_GETREGS = 12,
  MALLOW_PTRACE_SETREGS = 13,
  MALLOW_PTRACE_DETACH = 17,
  MALLOW_PTRACE_SYSCALL = 24,
  MALLOW_PTRACE_SETOPTIONS = 0x4200,
  MALLOW_PTRACE_GETEVENTMSG = 0x4201,
  MALLOW_PTRACE_GETREGSET = 0x4204,
  MALLOW_PTRACE_SEIZE = 0x4206,
  MALLOW_PTRACE_INTERRUPT = 0x4207,
  MALLOW_PTRACE_LISTEN = 0x4208,
  MALLOW_PTRACE_GETSIGMASK = 0x420a,
  MALLOW_PTRACE_SETSIGMASK = 0x420b,
  MALLOW_PTRACE_GET_RSEQ_CONFIGURATION = 0x420f,

  MALLOW_TRACE_SYSGOOD = 1,
  MALLOW_TRACE_FORK = 1 << 1,
  MALLOW_TRACE_VFORK = 1 << 2,
  MALLOW_TRACE_CLONE = 1 << 3,
  MALLOW_TRACE_EXEC = 1 << 4,
  MALLOW_TRACE_EXIT = 1 << 6,
  MALLOW_TRACE_EXITKILL = 1 << 20,

  MALLOW_EVENT_FORK = 1,
  MALLOW_EVENT_VFORK = 2,
  MALLOW_EVENT_CLONE = 3,
  MALLOW_EVENT_EXEC = 4,
  MALLOW_EVENT_EXIT = 6,
  MALLOW_EVENT_STOP = 128,

  MALLOW_WAIT_ALL = 0x40000000,  // __WALL

  MALLOW_CLONE_VM = 0x100,
  MALLOW_CLONE_FS = 0x200,
  MALLOW_CLONE_FILES = 0x400,
  MALLOW_CLONE_PARENT_SETTID = 0x100000,

  MALLOW_PR_GET_CHILD_SUBREAPER = 37,

  // Of fcntl.h and unistd.h, which want _GNU_SOURCE for them.
  MALLOW_O_TMPFILE = 020000000 | O_DIRECTORY,
  MALLOW_SEEK_DATA = 3,
  MALLOW_SEEK_HOLE = 4,
};

/// ptrace(2), which is variadic. Returns -1 and sets `errno` on failure.
static inline long mallow_ptrace(int request, pid_t thread, unsigned long address, unsigned long data) {
  return syscall(SYS_ptrace, (long)request, (long)thread, address, data);
}

/// process_vm_readv(2) of one range. Returns the bytes read, or -1 with `errno`.
static inline ssize_t mallow_read_memory(pid_t thread, uint64_t address, void *buffer, size_t size) {
  struct iovec local = {buffer, size}, remote = {(void *)address, size};
  return syscall(SYS_process_vm_readv, (long)thread, &local, 1UL, &remote, 1UL, 0UL);
}

/// process_vm_writev(2) of one range. Returns the bytes written, or -1 with `errno`.
static inline ssize_t mallow_write_memory(pid_t thread, uint64_t address, const void *buffer, size_t size) {
  struct iovec local = {(void *)buffer, size}, remote = {(void *)address, size};
  return syscall(SYS_process_vm_writev, (long)thread, &local, 1UL, &remote, 1UL, 0UL);
}

// PAGEMAP_SCAN of linux/fs.h, which older headers lack: the pages in a range that are present (8) or swapped out (16).
struct mallow_page_region { uint64_t start, end, categories; };
struct mallow_scan_arguments {
  uint64_t size, flags, start, end, walk_end, vector, vector_length, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
static inline long mallow_scan_pages(int pagemap, uint64_t start, uint64_t end, struct mallow_page_region *regions, uint64_t capacity) {
  struct mallow_scan_arguments arguments = {
    .size = sizeof arguments, .start = start, .end = end, .vector = (uint64_t)regions, .vector_length = capacity,
    .category_anyof_mask = 8 | 16, .return_mask = 8 | 16,
  };
  return ioctl(pagemap, _IOWR('f', 16, struct mallow_scan_arguments), &arguments);
}

// What PAGEMAP_SCAN tells of a page (linux/fs.h).
enum {
  MALLOW_PAGE_FILE = 1 << 2,     // of a file or of shared memory; else private and anonymous
  MALLOW_PAGE_PRESENT = 1 << 3,
  MALLOW_PAGE_SWAPPED = 1 << 4,
  MALLOW_PAGE_ZERO = 1 << 5,     // the kernel's page of zeros
  MALLOW_PAGE_HUGE = 1 << 6,
  MALLOW_PAGE_GUARD = 1 << 8,    // MADV_GUARD_INSTALL, Linux 6.15
};

/// The state of the pages in a range that are present or swapped out, at most `pages` of them: PAGEMAP_SCAN with the categories that
/// `wanted` asks for. Returns the number of regions, or -1 with `errno`.
static inline long mallow_scan_page_states(int pagemap, uint64_t start, uint64_t end, struct mallow_page_region *regions,
                                           uint64_t capacity, uint64_t pages, uint64_t wanted) {
  struct mallow_scan_arguments arguments = {
    .size = sizeof arguments, .start = start, .end = end, .vector = (uint64_t)regions, .vector_length = capacity, .max_pages = pages,
    .category_anyof_mask = MALLOW_PAGE_PRESENT | MALLOW_PAGE_SWAPPED, .return_mask = wanted,
  };
  return ioctl(pagemap, _IOWR('f', 16, struct mallow_scan_arguments), &arguments);
}

/// A file in memory (memfd_create(2)), close-on-exec, or -1.
static inline int mallow_memfd_create(const char *name) { return (int)syscall(SYS_memfd_create, name, 1UL); }

/// A descriptor of a process (pidfd_open(2)), close-on-exec, or -1.
static inline int mallow_pidfd_open(pid_t process) { return (int)syscall(SYS_pidfd_open, (long)process, 0L); }

/// Sends a signal to the process of a descriptor; safe in a signal handler.
static inline int mallow_pidfd_signal(int descriptor, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, (long)descriptor, (long)signal, NULL, 0L);
}

/// The end, in bytes, of a component of the XSAVE area in its standard form (CPUID leaf 13); 0 if there is no such component.
static inline uint32_t mallow_xsave_component_end(uint32_t component) {
  uint32_t size = 0, offset = 0, c = 0, d = 0;
  if (!__get_cpuid_count(13, component, &size, &offset, &c, &d)) return 0;
  return size + offset;
}

/// Forks a child that waits for a byte on `*release` and then executes `file` as execvpe(3) does. If that fails it writes its
/// `errno` to `*failure` and exits; a successful exec closes `*failure` without a byte. If the parent goes before the release,
/// the child ends at once. Both descriptors are close-on-exec. The child keeps this process's descriptors, process group,
/// signal mask and dispositions. Returns the child's id, or -1 with `errno`.
static inline pid_t mallow_fork_held(const char *file, char *const arguments[], char *const environment[], int *release,
                                     int *failure) {
  int go[2], fail[2];
  if (syscall(SYS_pipe2, go, O_CLOEXEC) != 0) return -1;
  if (syscall(SYS_pipe2, fail, O_CLOEXEC) != 0) {
    int saved = errno;
    close(go[0]);
    close(go[1]);
    errno = saved;
    return -1;
  }
  pid_t child = fork();
  if (child == 0) {
    close(go[1]);
    close(fail[0]);
    char byte;
    ssize_t count;
    do count = read(go[0], &byte, 1);
    while (count < 0 && errno == EINTR);
    if (count != 1) _exit(127);
    execvpe(file, arguments, environment);
    int error = errno;
    count = write(fail[1], &error, sizeof error);
    _exit(127);
  }
  int saved = errno;
  close(go[0]);
  close(fail[1]);
  if (child < 0) {
    close(go[1]);
    close(fail[0]);
    errno = saved;
    return -1;
  }
  *release = go[1];
  *failure = fail[0];
  return child;
}

/// Asks the processor to fetch a cache line, from any address.
static inline void mallow_prefetch(const void *address) { __builtin_prefetch(address); }
