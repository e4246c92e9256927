// The only pointers to blocks are kept where a search for plain words of memory does not see them; one block is really lost.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

struct packed {
  char tag;
  void *pointer;
  char kind;
  void *other;
} __attribute__((packed));

static struct packed *volatile packed;
static char *volatile behind;
static _Thread_local void *volatile in_static_tls[3];
static pthread_key_t keys[100];
static ucontext_t main_context, coroutine;
static char *coroutine_stack;

#define NOINLINE __attribute__((noinline))

// Blocks are 1,000 to 1,010 bytes, so that a report tells which was called lost.
static NOINLINE void only_epoll(void) {
  int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = malloc(1001)}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, eventfd(0, 0), &event);
  memset(&event, 0, sizeof event);
}

static NOINLINE void only_timer(void) {
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value = {.sival_ptr = malloc(1002)}};
  timer_create(CLOCK_MONOTONIC, &event, &timer);
  memset(&event, 0, sizeof event);
}

static NOINLINE void only_behind(void) {
  // The address is the next block's where that is live: it is freed here.
  char *blocks[64];
  for (int i = 0; i < 64; i++) blocks[i] = malloc(1008);
  for (int i = 0; i < 63; i++) {
    char *end = blocks[i] + malloc_usable_size(blocks[i]);
    if (!behind && blocks[i + 1] >= end && blocks[i + 1] <= end + 16) {
      behind = end;
    } else {
      free(blocks[i]);
    }
  }
  free(blocks[63]);
  if (!behind) exit(3);
}

static NOINLINE void only_packed(void) {
  packed = malloc(sizeof(struct packed));
  packed->tag = 1;
  packed->pointer = malloc(1003);
  packed->kind = 2;
  packed->other = malloc(1004);
}

static NOINLINE void only_keys(void) {
  for (int i = 0; i < 100; i++) pthread_key_create(&keys[i], 0);
  pthread_setspecific(keys[99], malloc(1005));
}

static NOINLINE void only_static_tls(void) { in_static_tls[1] = malloc(1006); }

static void body(void) {
  void *volatile on_stack = malloc(1007);
  memset(on_stack, 1, 1007);
  swapcontext(&coroutine, &main_context);
  free(on_stack);
}

static NOINLINE void only_coroutine(void) {
  coroutine_stack = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  getcontext(&coroutine);
  coroutine.uc_stack.ss_sp = coroutine_stack;
  coroutine.uc_stack.ss_size = 65536;
  makecontext(&coroutine, body, 0);
  swapcontext(&main_context, &coroutine);
}

static NOINLINE void lose(void) {
  void *volatile lost = malloc(3000);
  memset(lost, 1, 3000);
}

// Clears what is left below this frame and in most registers.
static NOINLINE void scrub(void) {
  volatile char dead[65536];
  memset((void *)dead, 0, sizeof dead);
}

// Waits for ever with a pointer in a vector register only.
static NOINLINE void wait_with_register(void) {
  __asm__ volatile(
      "movq %0, %%xmm9\n\t"
      "xor %%eax, %%eax\n\txor %%ebx, %%ebx\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\txor %%r8d, %%r8d\n\t"
      "xor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\txor %%r11d, %%r11d\n\txor %%r12d, %%r12d\n\txor %%r13d, %%r13d\n\t"
      "xor %%r14d, %%r14d\n\txor %%r15d, %%r15d\n\txor %%esi, %%esi\n\txor %%edi, %%edi\n"
      "1: mov $34, %%eax\n\tsyscall\n\tjmp 1b"  // pause
      :
      : "r"(malloc(1000))
      : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm9", "memory");
}

int main(void) {
  only_epoll();
  only_timer();
  only_behind();
  only_packed();
  only_keys();
  only_static_tls();
  only_coroutine();
  lose();
  puts("ready");
  fflush(stdout);
  scrub();
  wait_with_register();
}
