// Swift has no thread-local variables of its own; a program's C has.
// SPDX-License-Identifier: Apache-2.0
#pragma once
static _Thread_local int threadLocal = 4;
static inline int *threadLocalAddress(void) { return &threadLocal; }
