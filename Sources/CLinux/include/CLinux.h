// System calls and structures that Swift can't reach by itself: variadic functions and macros of the kernel's headers.
// SPDX-License-Identifier: Apache-2.0
#pragma once
