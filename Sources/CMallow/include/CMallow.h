// Everything that the allocator shares with its readers, and the little of C that it needs.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "mallow_layout.h"
#include "mallow_platform.h"
