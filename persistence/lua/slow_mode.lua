-- One viewer's turn in a session's slow mode: takes it, or says how long that must wait; or gives it back.
--
-- KEYS  1 the last turns: hash, user -> "at:key" (at: ms, this server's clock)
-- ARGV  1 user  2 the key of the message  3 the interval (ms); 0 gives the turn back that this key has taken
-- Gives how many ms must pass; 0 where the same message has the turn already; -1 where it has taken it now.
-- The interval of now counts, not that of then.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local user, key, interval = ARGV[1], ARGV[2], tonumber(ARGV[3])
local last = redis.call('HGET', KEYS[1], user)
local last_at, last_key
if last then
  last_at, last_key = string.match(last, '^(%d+):(.*)$')
end
if interval == 0 then
  if last_key == key then
    redis.call('HDEL', KEYS[1], user)
  end
  return 0
end
if last_key == key then
  return 0
end
if last_at then
  local wait = tonumber(last_at) + interval - now
  if wait > 0 then
    -- A clock that was put back must not cost more than an interval.
    return math.min(wait, interval)
  end
end
redis.call('HSET', KEYS[1], user, string.format('%.0f:%s', now, key))
-- Not sooner than a longer interval of before has said.
redis.call('PEXPIRE', KEYS[1], math.max(interval, redis.call('PTTL', KEYS[1])))
return -1
