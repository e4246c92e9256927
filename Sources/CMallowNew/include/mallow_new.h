// operator new where Swift can't say it: frames that C++ exceptions pass through.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>

// The slow paths of operator new: call the new-handler, or throw std::bad_alloc, where there is no memory.
void *_Nonnull mallow_new_slow(size_t size);
void *_Nonnull mallow_new_aligned(size_t size, size_t alignment);
// The forms that return NULL instead of throwing.
void *_Nullable mallow_new_nothrow_slow(size_t size, const void *_Nonnull tag);
void *_Nullable mallow_new_aligned_nothrow(size_t size, size_t alignment, const void *_Nonnull tag);
