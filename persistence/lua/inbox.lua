-- Keeps the copy of an inbox: appends what follows without a gap, and takes out what is gone. A copy of which
-- it is not certain that it holds all from the oldest entry to the newest is dropped.
--
-- KEYS  1 the stream: entry N has the id N-0
--       2 its head, a hash: epoch, seq (the newest id that was stored), acked, dropped
-- ARGV  1 epoch  2 the id before the first entry given  3 acked  4 dropped  5 how many entries to keep
--       6 how long to keep them unless something is written again (ms)  7 "1": begin anew; then the entries
-- Gives 1 where the copy is whole now, else 0.
local stream, head = KEYS[1], KEYS[2]
local epoch, seq = ARGV[1], tonumber(ARGV[2])
local acked, dropped = tonumber(ARGV[3]), tonumber(ARGV[4])
local stored = redis.call('HMGET', head, 'epoch', 'seq', 'acked', 'dropped')

local function drop()
  redis.call('UNLINK', stream, head)
  return 0
end

-- Either key may have been evicted alone: then the stream does not have as many entries as it must.
local known = nil
if stored[1] == epoch then
  local gone = math.max(tonumber(stored[3]), tonumber(stored[4]))
  if redis.call('XLEN', stream) == tonumber(stored[2]) - gone then
    known = tonumber(stored[2])
  end
end

local last = seq + #ARGV - 7
-- What has fallen behind is begun anew where that is possible.
if known and not (ARGV[7] == '1' and known < last) then
  acked = math.max(acked, tonumber(stored[3]))
  dropped = math.max(dropped, tonumber(stored[4]))
elseif ARGV[7] == '1' or (seq == 0 and last > 0) then
  drop()
  known = seq
else
  return drop()
end

if seq > known or acked > math.max(known, last) then
  return drop()
end
for id = known + 1, last do
  redis.call('XADD', stream, string.format('%.0f-0', id), 'e', ARGV[7 + id - seq])
end
last = math.max(known, last)
dropped = math.max(dropped, last - tonumber(ARGV[5]))
redis.call('XTRIM', stream, 'MINID', '=', string.format('%.0f-0', math.max(acked, dropped) + 1))
redis.call('HSET', head, 'epoch', epoch, 'seq', string.format('%.0f', last),
  'acked', string.format('%.0f', acked), 'dropped', string.format('%.0f', dropped))
redis.call('PEXPIRE', stream, ARGV[6])
redis.call('PEXPIRE', head, ARGV[6])
return 1
