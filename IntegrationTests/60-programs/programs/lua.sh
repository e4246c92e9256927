# shellcheck shell=bash
# Lua: tables, strings, closures and coroutines.
# SPDX-License-Identifier: Apache-2.0

same_output "lua: a script" lua5.4 "$topic/programs/script.lua" "$(pick 200000 2000000)"
