// A thread-local variable of a library that is loaded at run time.
// SPDX-License-Identifier: Apache-2.0
static _Thread_local long pluginThreadLocal[100];
long *plugin(void) { return &pluginThreadLocal[3]; }
