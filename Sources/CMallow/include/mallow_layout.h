// The introspection layout: how Mallow's heap lies in memory. The allocator writes by this header and every reader outside
// the process reads by it; nothing else is shared between them.
// SPDX-License-Identifier: Apache-2.0
//
// Address space, from coarse to fine:
//   window   the part of the address space that regions are placed in, so that a block's address finds its descriptor without a search:
//            the descriptor of the slice at `address` is at page_table + (address >> 10 & page_mask).
//   region   64 MiB, aligned to 64 MiB: 1,024 slices. A region may be mapped only in part, where the system refused more.
//   slice    64 KiB. Unit of hand-out inside a region.
//   page     one slice, or a run of 8, holding blocks of a single size; or a run of any length holding a single block (a span).
//   block    what malloc returns. Block i of a page starts at page start + i * size; the page starts at its first slice.
//   huge     a mapping of its own for one block, outside regions. It starts with a word that holds the address of its mallow_region,
//            and the block follows at the next multiple of 64 KiB or of its alignment.
//
// Which blocks of a page are live: those with an index below `carved` that are on neither of the page's two lists
// (`free`, `remote_free`), nor in a heap's quarantine, nor in a part of the page that was given back (mallow_hollow). A reader may stop the target anywhere: each list is
// well-formed at every instruction, except that a block in the hand of the running thread is on no list and so counts as live.
//
// Lists are linked through the blocks: word 0 of a free block is the address of the next one (0 ends the list), word 1 is
// a mark by which a second free is recognised: the address of the page's descriptor. In pages with trailers the mark is
// `block address ^ key`, and in hardened mode word 0 is `next ^ block address ^ key`.
#pragma once
#include <stdint.h>

#define MALLOW_LAYOUT_MAGIC 0x31574f4c4c414dULL  // "MALLOW1" in memory
#define MALLOW_LAYOUT_VERSION 3

#define MALLOW_REGION_SHIFT 26
#define MALLOW_SLICE_SHIFT 16
#define MALLOW_SLICES_PER_REGION 1024
#define MALLOW_BITMAP_WORDS 16
#define MALLOW_ADDRESS_BITS 47
#define MALLOW_WINDOW_BITS 40            // the window never grows beyond 1 TiB
#define MALLOW_REGION_RECORDS 16384      // 2^(MALLOW_WINDOW_BITS - MALLOW_REGION_SHIFT)
#define MALLOW_REGION_MAP_BYTES 2097152  // 2^(MALLOW_ADDRESS_BITS - MALLOW_REGION_SHIFT)

// Values in the region map: one byte for each 64 MiB of the address space.
#define MALLOW_MAP_FOREIGN 0       // not Mallow's
#define MALLOW_MAP_REGION 1        // a region of slices
#define MALLOW_MAP_HUGE 2          // the first 64 MiB of a huge block's mapping
#define MALLOW_MAP_HUGE_TAIL 3     // a later part of a huge block's mapping
#define MALLOW_MAP_HUGE_ALIGNED 4  // a huge block aligned to 64 MiB or more: found by the list of regions only

// Size classes: multiples of 16 up to 256 bytes, then eight to each doubling up to 64 KiB: 16 * (class + 1) bytes for classes below 16,
// (9 + class % 8) << (class / 8 + 3) from there on.
#define MALLOW_CLASS_COUNT 80
#define MALLOW_DIRECT_COUNT 65         // sizes up to 1,024 by (size + 15) / 16
#define MALLOW_SMALL_BLOCK 8192        // pages of blocks up to this size are one slice,
#define MALLOW_LARGE_PAGE_SLICES 8     // pages of larger blocks this many

// Kinds of page.
#define MALLOW_PAGE_FREE 0    // the slice is free, or a later one of a span
#define MALLOW_PAGE_BLOCKS 1  // head slice of a page of equal blocks
#define MALLOW_PAGE_SPAN 2    // head slice of a single block of whole slices
#define MALLOW_PAGE_HUGE 3    // the block of a huge mapping
#define MALLOW_PAGE_CACHED 5  // head slice of a free run that a heap keeps for its next page or span: `slices` long
#define MALLOW_PAGE_TAIL 4    // a later slice of a page of blocks: `slices` is the distance back to the head

// Low bits of mallow_page.owner. A page whose word equals its heap's address exactly takes the fast path of free.
#define MALLOW_OWNER_FULL 1     // the page is on no queue: its heap found no free block in it
#define MALLOW_OWNER_TRAILER 2  // its blocks end in a mallow_trailer
#define MALLOW_OWNER_SPAN 4     // it is a span
#define MALLOW_OWNER_FLAGS 15

// What another thread takes off a budget, to bring the page's owner to its slow path soon.
#define MALLOW_BUDGET_INTERRUPTED 16384

// mallow_page.remote_free: the address of the block freed last, and
#define MALLOW_REMOTE_NOTIFY 1       // the next remote free must put the page on its heap's remote_pages
#define MALLOW_REMOTE_COUNT_SHIFT 48 // how many blocks there are on the list
#define MALLOW_REMOTE_ADDRESS 0x0000fffffffffff0ULL

// A page descriptor: 64 bytes, one for each slice, in the page table.
struct mallow_page {
  uint64_t owner;        // address of the mallow_heap | MALLOW_OWNER_*; 0 for free slices and tails
  uint64_t free;         // BLOCKS: free blocks, last freed first. SPAN, HUGE: stack id in the low half, milliseconds in the high half (see mallow_trailer)
  uint64_t start;        // address of the first block
  uint64_t multiplier;   // BLOCKS: floor(2^64 / size) + 1: (address - start) * multiplier mod 2^64 < limit just where a carved block starts.
                         // SPAN, HUGE: bytes that the program may use (`usable`)
  uint64_t remote_free;  // BLOCKS: blocks freed by other threads, an atomic stack | MALLOW_REMOTE_*. SPAN, HUGE: bytes requested (`requested`)
  uint64_t limit;        // BLOCKS: carved * (multiplier * size mod 2^64)
  uint32_t next;         // page number (address >> 16) of the next page in its heap's queue, a ring; or in remote_pages or cached, where 0 ends
  uint32_t previous;     // page number of the previous page in the queue; 0 on none
  uint16_t used;         // BLOCKS: blocks in use as the owner sees it: remote frees not yet collected and the whole budget count as used
  int16_t budget;        // BLOCKS: how many blocks the fast path of malloc may still take before it takes the slow one.
                         // -1 stands for 0 too, and marks a page of the queue that had no free block when its turn came
  uint16_t carved;       // BLOCKS: blocks that have ever been put on the free list; the rest was never touched.
                         // SPAN: number of slices, TAIL: distance back to the head, in slices (`slices`)
  uint8_t size_class;    // 0 ..< MALLOW_CLASS_COUNT
  uint8_t kind;          // MALLOW_PAGE_*
};

// The fields of a descriptor that mean another thing in pages of another kind, by that meaning.
#define MALLOW_ALSO_CALLED(type, name, field) \
  __attribute__((swift_name("getter:mallow_page." #name "(self:)"))) \
  static inline type mallow_page_##name(const struct mallow_page *page) { return page->field; } \
  __attribute__((swift_name("setter:mallow_page." #name "(self:newValue:)"))) \
  static inline void mallow_page_set_##name(struct mallow_page *page, type value) { page->field = value; }
MALLOW_ALSO_CALLED(uint64_t, usable, multiplier)
MALLOW_ALSO_CALLED(uint64_t, requested, remote_free)
MALLOW_ALSO_CALLED(uint16_t, slices, carved)

// The last 16 bytes of each block of a page with MALLOW_OWNER_TRAILER.
struct mallow_trailer {
  uint32_t stack;         // offset of its mallow_stack in the stack table, in units of 8 bytes; 0: none recorded
  uint32_t milliseconds;  // when it was allocated, since mallow_introspection.started
  uint64_t requested;     // bytes asked for
};

// What was given back of a slice whose page still has blocks in use.
struct mallow_hollow {
  uint16_t parts;   // a set bit: this sixteenth of the slice was given back, and blocks that touch it are free
  uint16_t blocks;  // of a page's first slice: blocks that are free for that reason; they count as used
  uint16_t used;    // of a page's first slice: blocks that were in use at the last turn
  uint16_t looked;  // of a page's first slice: look again for parts to give back when fewer blocks are in use; 0: at any time
};

// A region, in Mallow's metadata. Never freed; a huge block's is used again.
struct mallow_region {
  uint64_t next;                            // address of the next mallow_region; 0 ends
  uint64_t base;                            // first address, aligned to 64 MiB; 0 while the record is unused. For MALLOW_MAP_HUGE_ALIGNED the block itself
  uint64_t mapped;                          // bytes mapped from base
  uint32_t kind;                            // MALLOW_MAP_REGION, _HUGE or _HUGE_ALIGNED
  uint32_t slices;                          // slices mapped
  uint64_t block;                           // HUGE: the block's address. Unused record: address of the next unused one
  struct mallow_page page;                  // HUGE, HUGE_ALIGNED: the block's descriptor
  uint64_t free[MALLOW_BITMAP_WORDS];       // a set bit: the slice is free
  uint64_t dirty[MALLOW_BITMAP_WORDS];      // a set bit: the slice may hold resident or non-zero memory
  uint64_t stale[MALLOW_BITMAP_WORDS];      // a set bit: it was free and dirty at the last tick already
  uint64_t last_free;                       // milliseconds (monotonic, coarse) when a dirty slice was last freed
  uint32_t free_slices;                     // set bits of `free`
  uint32_t dirty_free_slices;               // set bits of `free & dirty`
  uint64_t order;                           // place in the list
  uint64_t hollow;                          // address of a mallow_hollow for each slice; 0 in records of huge blocks
};

#define MALLOW_HEAP_LIVE 1     // owned by a running thread
#define MALLOW_HEAP_ORPHAN 2   // its thread has ended; the next new thread takes it over
#define MALLOW_HEAP_FROZEN 3   // after fork: its thread was in the middle of a slow path and does not exist here
#define MALLOW_HEAP_CLAIMED 4  // an orphan that another thread is tidying

#define MALLOW_QUARANTINE_COUNT 256
#define MALLOW_CACHED_SLICES 16         // the most slices that a heap keeps in free runs, 1 MiB,
#define MALLOW_CACHED_CONTENDED 256     // and where threads wait for each other to get some
#define MALLOW_CACHED_LONGEST 64        // the longest run kept

// A thread's heap. Heaps are never freed: a new thread takes over an orphan, with all its pages.
struct mallow_heap {
  // What other threads read and write is apart from the rest by the size of a cache line.
  uint64_t state;                         // MALLOW_HEAP_*
  uint64_t remote_pages;                  // atomic stack of page numbers: full pages that another thread has freed into
  uint64_t orphan_frees;                  // atomic: blocks that others freed here since the thread ended
  uint64_t next;                          // address of the next heap; 0 ends
  uint64_t apart[4];
  struct mallow_page none;                // stands in where there is no page to allocate from: nothing can be taken from it
  uint64_t current[MALLOW_CLASS_COUNT];   // by size class: descriptor to allocate from, or `none`
  uint32_t first[MALLOW_CLASS_COUNT];     // queues of pages that may have free blocks: page number of the first
  uint32_t trailer_first[MALLOW_CLASS_COUNT];  // the same for pages with trailers
  uint32_t cached[MALLOW_CACHED_LONGEST + 1];   // free runs that the heap keeps, by their number of slices: page number of the first, linked by `next`
  uint64_t cached_lengths;                     // a set bit: there are runs of that length, less one
  uint32_t cached_slices;                      // slices of all these runs
  uint32_t cached_limit;                       // the most that there may be now
  uint64_t in_use[2];                          // a set bit: the class has a current page
  uint64_t handed_out[MALLOW_CLASS_COUNT];     // blocks granted to the fast path in all; what is left of a page's budget was not taken
  int64_t until_sample[MALLOW_CLASS_COUNT + 1];  // bytes until the next sample, by class; the last entry is for spans
  uint64_t trailer_allocations;           // blocks allocated with a trailer
  uint64_t span_allocations;              // spans and huge blocks allocated
  uint64_t in_slow_path;                  // non-zero while its queues may be inconsistent
  uint64_t last_tick;                     // milliseconds
  uint64_t last_expected;                 // milliseconds when its budgets were last revoked since slices were freed
  uint64_t random;                        // state of the sampler's generator
  uint64_t last_recorded;                 // the last block recorded with a stack
  uint32_t thread;                        // kernel thread id of the owner
  uint32_t slow_only;                     // non-zero: every allocation takes the slow path (full profile, hardened)
  uint32_t in_sampler;                    // non-zero while a stack is being taken
  uint32_t purge_pending;                 // non-zero while slices that this heap freed may still be resident
  uint32_t quarantine_next;               // slot that the next freed block takes
  uint32_t pages;                         // pages of blocks
  uint32_t pages_then;                    // pages at the last turn
  uint64_t last_hollow;                   // milliseconds: when the heap last gave parts of pages back
  uint32_t hollow_class;                  // the size class to look at next for parts to give back
  uint32_t until_clock;                   // slow paths until the clock is looked at again
  uint32_t grant_limit;                   // while purge_pending: the most blocks that the fast path gets at once
  uint8_t short_refills[MALLOW_CLASS_COUNT];  // refills with few blocks since the page was carved further
  uint8_t refills[MALLOW_CLASS_COUNT];    // grants of the class since the last tick: each is at most twice the one before
  uint8_t loans[MALLOW_CLASS_COUNT];      // times that a page of a larger class was used since memory was last carved for this one
  uint64_t quarantine[MALLOW_QUARANTINE_COUNT];  // hardened mode: freed blocks held back, 0 for none
};

#define MALLOW_STACK_BUCKETS 16384
#define MALLOW_STACK_MAX_FRAMES 128

// One allocation site: a distinct call stack. Counters are unbiased estimates where samples were taken. Counts are in 1/1024.
struct mallow_stack {
  uint64_t hash;
  uint32_t next;              // next stack of the bucket, as a stack id; 0 ends
  uint32_t depth;             // frames that follow
  uint64_t allocations;       // 1/1024
  uint64_t allocated_bytes;
  uint64_t frees;             // 1/1024
  uint64_t freed_bytes;
  uint64_t peak_bytes;        // the most that was live at once
  uint64_t temporary;         // 1/1024: freed before the thread recorded another block
  uint64_t frames[];          // return addresses, innermost first
};

#define MALLOW_PROFILE_OFF 0
#define MALLOW_PROFILE_SAMPLED 1
#define MALLOW_PROFILE_FULL 2

// The one exported variable, `mallow_introspection`. All addresses are the target's.
struct mallow_introspection {
  uint64_t magic;            // MALLOW_LAYOUT_MAGIC, written last
  uint32_t version;          // MALLOW_LAYOUT_VERSION
  uint32_t size;             // sizeof(struct mallow_introspection)
  uint64_t region_map;       // address of the region map, MALLOW_REGION_MAP_BYTES bytes
  uint64_t regions;          // address of the first mallow_region
  uint64_t heaps;            // address of the first mallow_heap
  uint64_t key;              // secret that marks freed blocks
  uint32_t hardened;         // non-zero under MALLOW_HARDEN
  uint32_t profile;          // MALLOW_PROFILE_*
  uint64_t sample_interval;  // bytes between samples on average
  uint64_t started;          // CLOCK_MONOTONIC at start, in milliseconds
  uint64_t metadata;         // address of the first metadata chunk: its first word is the next chunk's address, its second its size in bytes
  uint64_t page_table;       // address of the page table
  uint64_t page_mask;        // see above; the table is page_mask + 64 bytes long
  uint64_t stacks;           // address of the stack table: mallow_stack records; id 0 is unused
  uint64_t stacks_size;      // bytes reserved for the table
  uint64_t stacks_used;      // bytes in use
  uint64_t stack_buckets;    // address of MALLOW_STACK_BUCKETS stack ids (uint32_t)
  uint64_t stacks_dropped;   // stacks that did not fit
};
