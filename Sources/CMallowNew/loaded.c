// What runs when the library is loaded.
// SPDX-License-Identifier: Apache-2.0
#include "mallow_new.h"

extern void mallow_initialize(void);

// Sets the allocator up, unless an allocation has done so already. A program that never allocates can be told from one that does not
// run on Mallow, and the handlers of fork come before everyone else's.
__attribute__((constructor)) static void loaded(void) { mallow_initialize(); }
