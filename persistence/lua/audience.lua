-- Writes one node's part of a session's audience under its lease, keeps the whole, and gives it.
--
-- The whole is kept, not counted: each change is carried over from the part to the whole, so that a call costs what
-- has changed, and not what is there. What was written is never trusted blindly: a record of every part, and of the
-- whole, says how many users each of their sets has. Where that is not so, everything is dropped, and told anew.
--
-- KEYS  1 parts: hash, node -> "end of its lease (ms, this server's clock) connections users watching version";
--         "*" -> "connections users watching chatters mark" of the whole
--       2 users: sorted set of all users, each with the score 0. With ":NODE" behind: set, those of one node
--       3 watching: set; likewise, with ":NODE"
--       4 chatters: set
-- ARGV  1 node, or "" to write nothing  2 lease (ms)  3 connections
--       4 the version that this part must have; "0": this is all of it, whatever is there  5 its version from now on
--       6 up to how many users they are named  7 the mark of the names that the node knows
--       8 to 12 how many users entered, left, began to watch, stopped to watch, have posted; then those
-- Gives 1, or 0 where the part must be told anew; connections, users, watching, chatters; 1 where the whole has
-- changed; its mark; all users by name where these are other than the node knows; those who entered and had posted.
local PARTS, USERS, WATCHING, CHATTERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local node, lease, connections = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- How many users one call may name: Lua has room for 8,000.
local CHUNK = 1000

local function each(command, key, names)
  local count = 0
  for i = 1, #names, CHUNK do
    count = count + redis.call(command, key, unpack(names, i, math.min(i + CHUNK - 1, #names)))
  end
  return count
end

local next_name = 13
local function given(at)
  local names = {}
  for i = 1, tonumber(ARGV[at]) do
    names[i] = ARGV[next_name]
    next_name = next_name + 1
  end
  return names
end

local parts, whole = {}, nil
local stored = redis.call('HGETALL', PARTS)
for i = 1, #stored, 2 do
  if stored[i] == '*' then
    whole = stored[i + 1]
  else
    local ends, count, users, watching, version = string.match(stored[i + 1], '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
    parts[stored[i]] = {
      ends = tonumber(ends), connections = tonumber(count),
      users = tonumber(users), watching = tonumber(watching), version = version,
    }
  end
end
local before = whole

-- Any key may have been evicted or have expired alone.
local function is_whole()
  if not whole then
    return false
  end
  local _, users, watching, chatters = string.match(whole, '^(%d+) (%d+) (%d+) (%d+) ')
  if redis.call('ZCARD', USERS) ~= tonumber(users) or redis.call('SCARD', WATCHING) ~= tonumber(watching)
    or redis.call('SCARD', CHATTERS) ~= tonumber(chatters) then
    return false
  end
  for name, part in pairs(parts) do
    if redis.call('SCARD', USERS .. ':' .. name) ~= part.users
      or redis.call('SCARD', WATCHING .. ':' .. name) ~= part.watching then
      return false
    end
  end
  return true
end

if not is_whole() then
  for name in pairs(parts) do
    redis.call('UNLINK', USERS .. ':' .. name, WATCHING .. ':' .. name)
  end
  redis.call('UNLINK', PARTS, USERS, WATCHING, CHATTERS)
  parts, whole = {}, nil
end
local mark = whole and string.match(whole, '(%d+)$') or '0'

local function touched(count)
  if count > 0 then
    mark = string.format('%d%06d', clock[1], clock[2])
  end
end

-- Takes out of the whole those of a set of users whom no node but `name` has.
local function withdraw(kind, name, set)
  local sets = {set}
  for other in pairs(parts) do
    if other ~= name then
      table.insert(sets, kind .. ':' .. other)
    end
  end
  local gone = redis.call('SDIFF', unpack(sets))
  if kind == USERS then
    touched(each('ZREM', USERS, gone))
    -- Whoever is gone has to post again to be a chatter.
    each('SREM', CHATTERS, gone)
  else
    each('SREM', kind, gone)
  end
end

local function lapse(name)
  for _, kind in ipairs({USERS, WATCHING}) do
    withdraw(kind, name, kind .. ':' .. name)
    redis.call('UNLINK', kind .. ':' .. name)
  end
  parts[name] = nil
  redis.call('HDEL', PARTS, name)
end

local function enter(kind, names)
  each('SADD', kind .. ':' .. node, names)
  if kind == WATCHING then
    each('SADD', kind, names)
    return
  end
  local scored = {}
  for _, name in ipairs(names) do
    table.insert(scored, '0')
    table.insert(scored, name)
  end
  touched(each('ZADD', USERS, scored))
end

local function leave(kind, names)
  if #names > 0 then
    local own, scratch = kind .. ':' .. node, kind .. ':*'
    each('SREM', own, names)
    each('SADD', scratch, names)
    withdraw(kind, node, scratch)
    redis.call('UNLINK', scratch)
  end
end

-- With everything told anew, whoever is there and not named has left.
local function missing(kind, names)
  local own, scratch = kind .. ':' .. node, kind .. ':*'
  each('SADD', scratch, names)
  local gone = redis.call('SDIFF', own, scratch)
  redis.call('UNLINK', scratch)
  return gone
end

local function posted_before(names)
  local found = {}
  if redis.call('EXISTS', CHATTERS) == 1 then
    for i = 1, #names, CHUNK do
      local last = math.min(i + CHUNK - 1, #names)
      for at, is in ipairs(redis.call('SMISMEMBER', CHATTERS, unpack(names, i, last))) do
        if is == 1 then
          table.insert(found, names[i + at - 1])
        end
      end
    end
  end
  return found
end

for name, part in pairs(parts) do
  if part.ends <= now then
    lapse(name)
  end
end

local done, chatted = 1, {}
if node ~= '' and connections == 0 then
  if parts[node] then
    lapse(node)
  end
elseif node ~= '' and (ARGV[4] == '0' or (parts[node] and parts[node].version == ARGV[4])) then
  local entered, left, began, stopped, posted = given(8), given(9), given(10), given(11), given(12)
  if not parts[node] then
    redis.call('UNLINK', USERS .. ':' .. node, WATCHING .. ':' .. node)
  elseif ARGV[4] == '0' then
    left, stopped = missing(USERS, entered), missing(WATCHING, began)
  end
  leave(USERS, left)
  leave(WATCHING, stopped)
  enter(USERS, entered)
  enter(WATCHING, began)
  chatted = posted_before(entered)
  each('SADD', CHATTERS, posted)
  local part = {
    ends = now + lease, connections = connections, version = ARGV[5],
    users = redis.call('SCARD', USERS .. ':' .. node), watching = redis.call('SCARD', WATCHING .. ':' .. node),
  }
  parts[node] = part
  redis.call('HSET', PARTS, node, string.format(
    '%.0f %d %d %d %s', part.ends, part.connections, part.users, part.watching, part.version))
elseif node ~= '' then
  done = 0
end

local sum = 0
for _, part in pairs(parts) do
  sum = sum + part.connections
end
local users, watching = redis.call('ZCARD', USERS), redis.call('SCARD', WATCHING)
local chatters = redis.call('SCARD', CHATTERS)
whole = string.format('%d %d %d %d %s', sum, users, watching, chatters, mark)
if next(parts) == nil then
  redis.call('UNLINK', PARTS)
elseif whole ~= before then
  redis.call('HSET', PARTS, '*', whole)
end
if node ~= '' and done == 1 then
  -- A backstop: nothing of a session stays once no node writes it any more.
  for _, key in ipairs({PARTS, USERS, WATCHING, CHATTERS, USERS .. ':' .. node, WATCHING .. ':' .. node}) do
    redis.call('PEXPIRE', key, 2 * lease)
  end
end

local names = false
if users <= tonumber(ARGV[6]) and mark ~= ARGV[7] then
  names = redis.call('ZRANGE', USERS, 0, -1)
end
return {done, sum, users, watching, chatters, whole ~= before and 1 or 0, mark, names, chatted}
