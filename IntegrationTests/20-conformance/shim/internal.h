// What glibc's build defines for its tests and their support code, so that they compile outside of it.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <limits.h>
#include <sys/cdefs.h>
#define libc_hidden_proto(...)
#define libc_hidden_def(...)
#define __set_errno(value) (errno = (value))
#define TIMEOUTFACTOR 1
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

// Only glibc's tests in containers look into these folders.
#define SRCDIR_PATH ""
#define OBJDIR_PATH ""
#define OBJDIR_ELF_LDSO_PATH ""
#define INSTDIR_PATH ""
#define LIBDIR_PATH ""
#define BINDIR_PATH ""
#define SBINDIR_PATH ""
#define SLIBDIR_PATH ""
#define ROOTSBINDIR_PATH ""
#define COMPLOCALEDIR_PATH ""
#define SYSCONFDIR_PATH ""
