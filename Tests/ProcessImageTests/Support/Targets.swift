// The C programs that the tests examine.
// SPDX-License-Identifier: Apache-2.0

enum Targets {
  private static let headers = """
    #include <errno.h>
    #include <pthread.h>
    #include <stdint.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <signal.h>
    #include <time.h>
    #include <unistd.h>
    #include <poll.h>
    #include <sys/epoll.h>
    #include <sys/mman.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <sys/wait.h>
    #include <linux/futex.h>
    #define FAIL(what) do { printf("%s failed: %s\\n", what, strerror(errno)); fflush(stdout); _exit(9); } while (0)
    static inline void say(const char *line) { puts(line); fflush(stdout); }
    static inline void wait_for_input(void) { char c; if (read(0, &c, 1) < 0) FAIL("read"); }

    """

  /// A thread spins with known words in a general, an XMM and the upper half of a YMM register.
  static let registers =
    headers + """
      static volatile uint64_t memory = 0x1122334455667788;
      static uint64_t const words[4] = {0x0123456789abcde2, 0, 0, 0x0123456789abcde3};
      static volatile int ready;
      static void *spin(void *unused) {
        pthread_setname_np(pthread_self(), "spinner");
        ready = 1;
        __asm__ volatile("vmovdqu %0, %%ymm9\\n movabs $0x0123456789abcde1, %%r12\\n 1: pause\\n jmp 1b"
                         :: "m"(words) : "r12", "xmm9", "memory");
        return unused;
      }
      int main(void) {
        pthread_t thread;
        pthread_create(&thread, 0, spin, 0);
        while (!ready) usleep(100);
        usleep(20000);
        printf("%lx\\n", (unsigned long)&memory);
        fflush(stdout);
        pause();
      }
      """

  /// Prints the address of two pages of sevens before an inaccessible one.
  static let hole =
    headers + """
      int main(void) {
        char *p = mmap(0, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(p, 7, 4 * 4096);
        mprotect(p + 2 * 4096, 4096, PROT_NONE);
        printf("%lx\\n", (unsigned long)p);
        fflush(stdout);
        pause();
      }
      """

  /// 64 threads, which block in the same futex.
  static let threads =
    headers + """
      static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
      static pthread_barrier_t barrier;
      static void *work(void *unused) {
        pthread_barrier_wait(&barrier);
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
        return unused;
      }
      int main(void) {
        pthread_t threads[64];
        pthread_barrier_init(&barrier, 0, 65);
        pthread_mutex_lock(&mutex);
        for (int i = 0; i < 64; i++) pthread_create(&threads[i], 0, work, 0);
        pthread_barrier_wait(&barrier);
        say("ready");
        wait_for_input();
        pthread_mutex_unlock(&mutex);
        for (int i = 0; i < 64; i++) pthread_join(threads[i], 0);
        say("done");
      }
      """

  /// Its threads block in all the ways that a stop could disturb, until a byte comes.
  static let blocked =
    headers + """
      static uint32_t word;
      static int never[2], sockets[2];
      static void *in_poll(void *unused) {
        struct pollfd p = {never[0], POLLIN, 0};
        if (poll(&p, 1, 3600000) < 0) FAIL("poll");
        return unused;
      }
      static void *in_ppoll(void *unused) {
        struct pollfd p = {never[0], POLLIN, 0};
        sigset_t set;
        sigemptyset(&set);
        if (ppoll(&p, 1, 0, &set) < 0) FAIL("ppoll");
        return unused;
      }
      static void *in_epoll(void *unused) {
        int e = epoll_create1(0);
        struct epoll_event event = {EPOLLIN, {0}};
        epoll_ctl(e, EPOLL_CTL_ADD, never[0], &event);
        if (epoll_wait(e, &event, 1, -1) < 0) FAIL("epoll_wait");
        return unused;
      }
      static void *in_sleep(void *unused) {
        struct timespec t = {3600, 0};
        if (nanosleep(&t, 0) < 0) FAIL("nanosleep");
        return unused;
      }
      static void *in_futex(void *unused) {
        if (syscall(SYS_futex, &word, FUTEX_WAIT, 0, 0, 0, 0) < 0) FAIL("futex");
        return unused;
      }
      static void *in_timed_futex(void *unused) {
        struct timespec t = {3600, 0};
        if (syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, 0, 0) < 0) FAIL("futex with a time-out");
        return unused;
      }
      static void *in_recv(void *unused) {
        char c;
        struct timeval t = {3600, 0};
        setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
        if (recv(sockets[0], &c, 1, 0) < 0) FAIL("recv with a time-out");
        return unused;
      }
      static void *in_sigtimedwait(void *unused) {
        sigset_t set;
        struct timespec t = {3600, 0};
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        if (sigtimedwait(&set, 0, &t) < 0) FAIL("sigtimedwait");
        return unused;
      }
      int main(void) {
        void *(*functions[])(void *) = {in_poll, in_ppoll, in_epoll, in_sleep, in_futex, in_timed_futex, in_recv, in_sigtimedwait};
        pthread_t thread;
        if (pipe(never) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)) FAIL("pipe");
        for (unsigned i = 0; i < sizeof functions / sizeof *functions; i++) pthread_create(&thread, 0, functions[i], 0);
        usleep(50000);
        say("ready");
        wait_for_input();
        say("no EINTR");
        return 0;
      }
      """

  /// One thread, blocked in the system call that the argument names, until a byte comes or the call fails.
  static let blockedAlone =
    headers + """
      int main(int argc, char **argv) {
        char c;
        struct pollfd p = {0, POLLIN, 0};
        sigset_t empty;
        sigemptyset(&empty);
        say("ready");
        if (!strcmp(argv[1], "read")) { if (read(0, &c, 1) < 0) FAIL("read"); }
        if (!strcmp(argv[1], "poll")) { if (poll(&p, 1, 3600000) < 0) FAIL("poll"); }
        if (!strcmp(argv[1], "ppoll")) { if (ppoll(&p, 1, 0, &empty) < 0) FAIL("ppoll"); }
        if (!strcmp(argv[1], "nanosleep")) {
          struct timespec t = {3600, 0};
          if (nanosleep(&t, 0) < 0) FAIL("nanosleep");
        }
        if (!strcmp(argv[1], "short nanosleep")) {
          struct timespec t = {0, 500000000};
          if (nanosleep(&t, 0) < 0) FAIL("nanosleep");
        }
        if (!strcmp(argv[1], "epoll")) {
          int e = epoll_create1(0);
          struct epoll_event event = {EPOLLIN, {0}};
          epoll_ctl(e, EPOLL_CTL_ADD, 0, &event);
          if (epoll_wait(e, &event, 1, 3600000) < 0) FAIL("epoll_wait");
        }
        if (!strcmp(argv[1], "futex")) {
          uint32_t word = 0;
          struct timespec t = {3600, 0};
          if (syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, 0, 0) < 0) FAIL("futex");
        }
        say("done");
        return 0;
      }
      """

  /// Says each SIGUSR1.
  static let countsSignals =
    headers + """
      static void handle(int signal) { (void)!write(1, "signal\\n", 7); }
      int main(void) {
        signal(SIGUSR1, handle);
        say("ready");
        for (;;) pause();
      }
      """

  /// The main thread ends; another waits for a byte.
  static let mainThreadEnds =
    headers + """
      static void *work(void *unused) {
        say("ready");
        wait_for_input();
        say("done");
        return unused;
      }
      int main(void) {
        pthread_t thread;
        pthread_create(&thread, 0, work, 0);
        pthread_exit(0);
      }
      """

  /// Counts upward in a row of words, all equal at any moment at which no thread is in the middle of a step.
  static let counts =
    headers + """
      static volatile uint64_t *words;
      int main(void) {
        words = mmap(0, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        printf("%lx\\n", (unsigned long)words);
        fflush(stdout);
        for (uint64_t n = 1;; n++) for (int page = 0; page < 2048; page++) words[page * 512] = n;
      }
      """

  /// Threads keep known values in all vector registers and check them; others work through system calls, children and signals.
  /// The main thread says how far they have come, once for each byte.
  ///
  /// With an argument only the main thread runs, and works with vector registers. The address of the counters comes first then.
  static let busy =
    headers + """
      static volatile uint64_t progress[6];
      static void *vectors(void *which) {
        uint64_t in[4 * 16], out[4 * 16], flags, zone, *input = in, *output = out, round = 0;
        for (;;) {
          round++;
          for (int i = 0; i < 64; i++) in[i] = round * 1000003 + i * 7919 + (uintptr_t)which;
          memset(out, 0, sizeof out);
          __asm__ volatile(
            "vmovdqu (%1), %%ymm0\\n vmovdqu 32(%1), %%ymm1\\n vmovdqu 64(%1), %%ymm2\\n vmovdqu 96(%1), %%ymm3\\n"
            "vmovdqu 128(%1), %%ymm4\\n vmovdqu 160(%1), %%ymm5\\n vmovdqu 192(%1), %%ymm6\\n vmovdqu 224(%1), %%ymm7\\n"
            "vmovdqu 256(%1), %%ymm8\\n vmovdqu 288(%1), %%ymm9\\n vmovdqu 320(%1), %%ymm10\\n vmovdqu 352(%1), %%ymm11\\n"
            "vmovdqu 384(%1), %%ymm12\\n vmovdqu 416(%1), %%ymm13\\n vmovdqu 448(%1), %%ymm14\\n vmovdqu 480(%1), %%ymm15\\n"
            "movq $0x5a5a, -128(%%rsp)\\n mov $20000, %%ecx\\n stc\\n 1: lea -1(%%ecx), %%ecx\\n jecxz 2f\\n jmp 1b\\n"
            "2: pushf\\n pop %0\\n mov -128(%%rsp), %%rcx\\n mov %%rcx, %3\\n"
            "vmovdqu %%ymm0, (%2)\\n vmovdqu %%ymm1, 32(%2)\\n vmovdqu %%ymm2, 64(%2)\\n vmovdqu %%ymm3, 96(%2)\\n"
            "vmovdqu %%ymm4, 128(%2)\\n vmovdqu %%ymm5, 160(%2)\\n vmovdqu %%ymm6, 192(%2)\\n vmovdqu %%ymm7, 224(%2)\\n"
            "vmovdqu %%ymm8, 256(%2)\\n vmovdqu %%ymm9, 288(%2)\\n vmovdqu %%ymm10, 320(%2)\\n vmovdqu %%ymm11, 352(%2)\\n"
            "vmovdqu %%ymm12, 384(%2)\\n vmovdqu %%ymm13, 416(%2)\\n vmovdqu %%ymm14, 448(%2)\\n vmovdqu %%ymm15, 480(%2)\\n"
            : "=&r"(flags), "+r"(input), "+r"(output), "=m"(zone) :
            : "rcx", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
              "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
          if (memcmp(in, out, sizeof in)) { say("vector registers changed"); _exit(1); }
          if (zone != 0x5a5a) { say("the red zone changed"); _exit(1); }
          if (!(flags & 1)) { say("flags changed"); _exit(1); }
          progress[(uintptr_t)which]++;
        }
      }
      // Uses the red zone, in which nothing may change.
      static void *leaf(void *which) {
        for (;;) {
          uint64_t bad;
          __asm__ volatile(
            "movq $0x5a5a, -8(%%rsp)\\n movq $0x6b6b, -120(%%rsp)\\n mov $20000, %%ecx\\n 1: dec %%ecx\\n jnz 1b\\n"
            "mov -8(%%rsp), %0\\n sub $0x5a5a, %0\\n mov -120(%%rsp), %%rcx\\n sub $0x6b6b, %%rcx\\n or %%rcx, %0\\n"
            : "=r"(bad) :: "rcx", "memory", "cc");
          if (bad) { say("the red zone changed"); _exit(1); }
          progress[(uintptr_t)which]++;
        }
      }
      static void *sleeper(void *which) {
        for (;;) {
          struct timespec t = {0, 300000};
          if (nanosleep(&t, 0) && errno != EINTR) FAIL("nanosleep");
          progress[(uintptr_t)which]++;
        }
      }
      static int channel[2];
      static void *reader(void *which) {
        uint64_t expected = 0, got;
        for (;;) {
          if (read(channel[0], &got, sizeof got) != sizeof got) FAIL("read");
          if (got != expected++) { say("a message was lost"); _exit(1); }
          progress[(uintptr_t)which]++;
        }
      }
      static void *writer(void *which) {
        uint64_t next = 0;
        for (;; next++) {
          if (write(channel[1], &next, sizeof next) != sizeof next) FAIL("write");
          if (next % 16 == 0) usleep(200);
          progress[(uintptr_t)which]++;
        }
      }
      static void got_child(int signal) { (void)!write(1, "SIGCHLD\\n", 8); _exit(1); }
      int main(int argc, char **argv) {
        pthread_t thread;
        if (pipe(channel)) FAIL("pipe");
        signal(SIGCHLD, got_child);
        if (argc > 1) {
          printf("%lx\\n", (unsigned long)progress);
          fflush(stdout);
          vectors(0);
        }
        void *(*functions[])(void *) = {vectors, vectors, leaf, sleeper, reader, writer};
        for (uintptr_t i = 0; i < 6; i++) pthread_create(&thread, 0, functions[i], (void *)i);
        say("ready");
        for (char c; read(0, &c, 1) == 1;) {
          if (waitpid(-1, 0, WNOHANG) != -1 || errno != ECHILD) { say("there is a child"); _exit(1); }
          for (int i = 0; i < 6; i++) printf("%lu ", progress[i]);
          say("");
        }
        return 0;
      }
      """

  /// Makes children and collects them with waitpid(-1); complains of any that is not its own.
  static let makesChildren =
    headers + """
      static volatile sig_atomic_t signals;
      static void count(int signal) { signals++; }
      int main(void) {
        struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
        sigaction(SIGCHLD, &action, 0);
        say("ready");
        for (int n = 1;; n++) {
          pid_t child = fork();
          if (child < 0) FAIL("fork");
          if (!child) _exit(n & 0x7f);
          int status;
          pid_t got = waitpid(-1, &status, 0);
          if (got != child) FAIL("waitpid");
          if (WEXITSTATUS(status) != (n & 0x7f)) { say("wrong status"); return 1; }
          if (waitpid(-1, &status, __WALL | WNOHANG) != -1 || errno != ECHILD) { say("there is another child"); return 1; }
          if (signals != n) { printf("%d signals for %d children\\n", signals, n); return 1; }
          struct pollfd input = {0, POLLIN, 0};
          if (poll(&input, 1, 0) == 1) { say("done"); return 0; }
        }
      }
      """

  /// Ends in the way that the argument names, with 0xfeedface at address 0x10000000.
  static let endings =
    headers + """
      static pthread_barrier_t barrier;
      static void *sleeps(void *unused) { pthread_barrier_wait(&barrier); for (;;) pause(); return unused; }
      static void *spins(void *unused) { pthread_barrier_wait(&barrier); for (;;) __asm__ volatile("pause"); return unused; }
      static void *returns(void *unused) { pthread_barrier_wait(&barrier); return unused; }
      static void *returns_last(void *unused) { usleep(100000); return unused; }
      static void *exits(void *unused) { usleep(20000); exit(5); return unused; }
      static char **arguments;
      static void *executes(void *unused) { execl("/proc/self/exe", arguments[0], "exit", (char *)0); FAIL("exec"); return unused; }
      static void start(void *(*function)(void *)) { pthread_t t; pthread_create(&t, 0, function, 0); }
      static volatile sig_atomic_t got;
      static void handle(int signal) { got = signal; }
      int main(int argc, char **argv) {
        const char *way = argv[1];
        arguments = argv;
        volatile uint64_t *marker = mmap((void *)0x10000000, 1 << 20, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        *marker = 0xfeedface;
        if (!strcmp(way, "return")) return 3;
        if (!strcmp(way, "exit")) exit(4);
        if (!strcmp(way, "_exit")) _exit(6);
        if (!strcmp(way, "abort")) abort();
        if (!strcmp(way, "segv")) *(volatile char *)8 = 1;
        if (!strcmp(way, "kill")) kill(getpid(), SIGKILL);
        if (!strcmp(way, "threads")) {
          pthread_barrier_init(&barrier, 0, 9);
          for (int i = 0; i < 4; i++) start(sleeps), start(spins);
          pthread_barrier_wait(&barrier);
          return 0;
        }
        if (!strcmp(way, "threads abort")) {
          pthread_barrier_init(&barrier, 0, 9);
          for (int i = 0; i < 4; i++) start(sleeps), start(spins);
          pthread_barrier_wait(&barrier);
          abort();
        }
        if (!strcmp(way, "short threads")) {
          for (int i = 0; i < 100; i++) {
            pthread_t t;
            pthread_barrier_init(&barrier, 0, 2);
            pthread_create(&t, 0, returns, 0);
            pthread_barrier_wait(&barrier);
            pthread_join(t, 0);
          }
          return 7;
        }
        if (!strcmp(way, "other thread exits")) { start(exits); for (;;) pause(); }
        if (!strcmp(way, "main thread first")) { start(returns_last); pthread_exit(0); }
        if (!strcmp(way, "raw exit")) { start(returns_last); syscall(SYS_exit, 9); }
        if (!strcmp(way, "exec")) { execl("/proc/self/exe", argv[0], "exit", (char *)0); FAIL("exec"); }
        if (!strcmp(way, "exec by thread")) {
          pthread_barrier_init(&barrier, 0, 5);
          for (int i = 0; i < 4; i++) start(sleeps);
          pthread_barrier_wait(&barrier);
          start(executes);
          for (;;) pause();
        }
        if (!strcmp(way, "signals")) {
          signal(SIGUSR1, handle);
          for (int i = 0; i < 100; i++) { got = 0; raise(SIGUSR1); if (got != SIGUSR1) return 1; }
          return 8;
        }
        if (!strcmp(way, "waits for SIGTERM")) {
          sigset_t set;
          int signal;
          sigemptyset(&set);
          sigaddset(&set, SIGTERM);
          sigprocmask(SIG_BLOCK, &set, 0);
          FILE *f = fopen(argv[2], "w");
          fprintf(f, "%d\\n", getpid());
          fclose(f);
          sigwait(&set, &signal);
          return 10 + signal;
        }
        if (!strcmp(way, "stops")) {
          pid_t child = fork();
          if (!child) {
            // What a shell would see: the stop, and the end of the stop.
            char path[64], state[4096];
            pid_t parent = getppid();
            snprintf(path, sizeof path, "/proc/%d/stat", parent);
            for (int i = 0; i < 10000; i++) {
              FILE *f = fopen(path, "r");
              if (f && fgets(state, sizeof state, f) && (strstr(state, ") T ") || strstr(state, ") t "))) {
                usleep(50000);
                kill(parent, SIGCONT);
                _exit(0);
              }
              if (f) fclose(f);
              usleep(1000);
            }
            kill(parent, SIGKILL);
            _exit(1);
          }
          raise(SIGSTOP);
          int status;
          if (waitpid(-1, &status, 0) != child || status) return 1;
          return 12;
        }
        if (!strcmp(way, "children")) {
          for (int i = 1; i <= 3; i++) {
            int status;
            pid_t child = i == 3 ? vfork() : fork();
            if (!child) { if (i == 2) execl("/proc/self/exe", argv[0], "exit", (char *)0); _exit(20 + i); }
            if (waitpid(-1, &status, 0) != child) return 1;
          }
          if (waitpid(-1, 0, __WALL) != -1 || errno != ECHILD) return 1;
          return 13;
        }
        if (!strcmp(way, "lasting child")) {
          if (fork() == 0) { FILE *f = fopen(argv[2], "w"); fprintf(f, "%d\\n", getpid()); fclose(f); for (;;) pause(); }
          while (access(argv[2], F_OK)) usleep(1000);
          return 0;
        }
        if (!strcmp(way, "descriptors")) return system("exit $(ls /proc/self/fd | wc -l)") >> 8;
        return 99;
      }
      """
}
