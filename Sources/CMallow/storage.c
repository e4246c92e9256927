// The allocator's static memory: thread-local variables and relocated tables, which Swift can't declare.
// SPDX-License-Identifier: Apache-2.0
#include "CMallow.h"

struct mallow_page mallow_empty_page;
struct mallow_heap mallow_empty_heap = {
  .direct = {[0 ... MALLOW_DIRECT_COUNT - 1] = (uint64_t)&mallow_empty_page},
  .current = {[0 ... MALLOW_CLASS_COUNT - 1] = (uint64_t)&mallow_empty_page},
};
__thread struct mallow_heap *mallow_thread_heap = &mallow_empty_heap;
__thread uint32_t mallow_thread_id;
uint8_t mallow_region_map[MALLOW_REGION_MAP_BYTES];
struct mallow_state mallow_state;
struct mallow_introspection mallow_introspection = {
  .version = MALLOW_LAYOUT_VERSION,
  .size = sizeof(struct mallow_introspection),
};
