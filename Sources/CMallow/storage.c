// The allocator's static memory: thread-local variables and relocated tables, which Swift can't declare.
// SPDX-License-Identifier: Apache-2.0
#include "CMallow.h"

struct mallow_page mallow_empty_page;
struct mallow_heap mallow_empty_heap = {.current = {[0 ... MALLOW_CLASS_COUNT - 1] = (uint64_t)&mallow_empty_page}};
__thread struct mallow_heap *mallow_thread_heap = &mallow_empty_heap;
__thread uint64_t mallow_thread_direct[MALLOW_DIRECT_COUNT] = {[0 ... MALLOW_DIRECT_COUNT - 1] = (uint64_t)&mallow_empty_page};
__thread uint32_t mallow_thread_id;
#define MALLOW_EIGHT(step, first) \
  (first) * (step), (first + 1) * (step), (first + 2) * (step), (first + 3) * (step), (first + 4) * (step), (first + 5) * (step), \
    (first + 6) * (step), (first + 7) * (step)
const uint32_t mallow_block_sizes[MALLOW_CLASS_COUNT] = {
  MALLOW_EIGHT(16, 1), MALLOW_EIGHT(16, 9), MALLOW_EIGHT(32, 9), MALLOW_EIGHT(64, 9), MALLOW_EIGHT(128, 9),
  MALLOW_EIGHT(256, 9), MALLOW_EIGHT(512, 9), MALLOW_EIGHT(1024, 9), MALLOW_EIGHT(2048, 9), MALLOW_EIGHT(4096, 9),
};
uint64_t mallow_region_records[MALLOW_REGION_RECORDS];
uint8_t mallow_region_map[MALLOW_REGION_MAP_BYTES];
__attribute__((aligned(64))) struct mallow_state mallow_state = {
  .page_table = (uint64_t)&mallow_empty_page,  // until there is one, so that free finds nothing there
};
struct mallow_introspection mallow_introspection = {
  .version = MALLOW_LAYOUT_VERSION,
  .size = sizeof(struct mallow_introspection),
};
