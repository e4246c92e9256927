-- Work for Lua's memory: tables, strings, closures, coroutines, and the collector.
-- SPDX-License-Identifier: Apache-2.0
local count = tonumber(arg[1])
local state = 1
local function random(n)
  state = (state * 1103515245 + 12345) % 2147483648
  return state % n
end

local strings, total = {}, 0
for i = 1, count do
  local key = random(20000)
  strings[key] = (strings[key] or ""):sub(-200) .. string.rep(string.char(97 + i % 26), random(60))
  if i % 50000 == 0 then collectgarbage() end
end
for key = 0, 19999 do total = total + #(strings[key] or "") end
print("strings", total)

local function numbers(n)
  return coroutine.wrap(function() for i = 1, n do coroutine.yield({ i, tostring(i) }) end end)
end
local sum = 0
for _ = 1, count // 200 do
  for pair in numbers(20) do sum = sum + pair[1] + #pair[2] end
end
print("coroutines", sum)

local list = {}
for i = 1, count do list[i] = random(1000000) end
table.sort(list)
print("sorted", list[1], list[count // 2], list[count])

local tree = nil
for i = 1, count do tree = { left = tree, value = function() return i end } if i % 1000 == 0 then tree = tree.left end end
local depth = 0
while tree do depth, tree = depth + 1, tree.left end
print("depth", depth, #table.concat(list, ","))
