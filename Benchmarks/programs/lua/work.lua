-- Work for Lua's memory. Each round builds trees of tables, edits many strings, and keeps closures in a queue.
-- SPDX-License-Identifier: Apache-2.0
local rounds = tonumber(arg[1])

local state = 42
local function random(n)
  state = (state * 1103515245 + 12345) & 0x7fffffff
  return (state >> 8) % n
end

local function tree(depth)
  if depth == 0 then return { leaf = random(100) } end
  return { left = tree(depth - 1), right = tree(depth - 1), name = "node " .. random(1000000) }
end

local function sum(node)
  if node.leaf then return node.leaf end
  return sum(node.left) + sum(node.right) + #node.name
end

local function document(words)
  local parts = {}
  for i = 1, words do parts[i] = string.rep(string.char(97 + random(26)), 1 + random(20)) end
  return table.concat(parts, " ")
end

-- Trees that live long while short ones come and go.
local function trees()
  local kept, total = {}, 0
  for i = 1, 200 do
    kept[1 + random(40)] = tree(10)
    total = total + sum(tree(6)) + sum(kept[next(kept)])
  end
  return total
end

-- A store of texts that are cut up, counted, and put together anew.
local function texts()
  local store, counts = {}, {}
  for i = 1, 1500 do store[i] = document(20 + random(100)) end
  for _ = 1, 4000 do
    local i = 1 + random(#store)
    for word in store[i]:gmatch("%a+") do
      local key = word:sub(1, 3)
      counts[key] = (counts[key] or 0) + 1
    end
    store[i] = store[i]:gsub("a+", string.upper):sub(-600) .. " " .. document(10 + random(60))
  end
  local keys, length = {}, 0
  for key in pairs(counts) do keys[#keys + 1] = key .. counts[key] end
  table.sort(keys)
  for _, text in ipairs(store) do length = length + #text end
  return #keys .. " " .. keys[1] .. " " .. keys[#keys] .. " " .. length
end

-- A queue of closures, each with variables of its own, that is first in, first out.
local function closures()
  local queue, first, total = {}, 1, 0
  for i = 1, 400000 do
    local a, b = random(100), { i, i * 2 }
    queue[#queue + 1] = function(x) a = a + x return a + b[1] % 7 end
    if i > 50000 then
      total = total + queue[first](i % 3)
      queue[first] = false
      first = first + 1
    end
  end
  return total
end

for round = 1, rounds do print(round, trees(), texts(), closures()) end
