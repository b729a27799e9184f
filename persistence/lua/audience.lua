-- Writes one node's part of a session's audience under its lease, and counts the whole.
--
-- KEYS  1 leases: sorted set, node -> when its lease ends (ms, this server's clock)
--       2 connections: hash, node -> how many
--       3 the prefix of the sets of users, one set a node
-- ARGV  1 node  2 lease (ms)  3 connections  4 "1": write the set of users anew
--       5 how many users entered, then those; the rest left
-- Gives the connections and distinct users under live leases, and the users written for this node.
local leases, connections, users = KEYS[1], KEYS[2], KEYS[3]
local node, lease = ARGV[1], tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function forget(other)
  redis.call('ZREM', leases, other)
  redis.call('HDEL', connections, other)
  redis.call('UNLINK', users .. other)
end

for _, dead in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
  forget(dead)
end

if ARGV[4] == '1' then
  redis.call('UNLINK', users .. node)
end
local entered = tonumber(ARGV[5])
for i = 6, #ARGV do
  redis.call(i < 6 + entered and 'SADD' or 'SREM', users .. node, ARGV[i])
end

if ARGV[3] == '0' then
  forget(node)
else
  redis.call('ZADD', leases, now + lease, node)
  redis.call('HSET', connections, node, ARGV[3])
  -- A backstop: nothing of a session stays once no node writes it any more.
  for _, key in ipairs({leases, connections, users .. node}) do
    redis.call('PEXPIRE', key, 2 * lease)
  end
end

local sum = 0
for _, n in ipairs(redis.call('HVALS', connections)) do
  sum = sum + n
end
local sets = {}
for i, other in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
  sets[i] = users .. other
end
local distinct = 0
if #sets == 1 then
  distinct = redis.call('SCARD', sets[1])
elseif #sets > 1 then
  distinct = #redis.call('SUNION', unpack(sets))
end
return {sum, distinct, redis.call('SCARD', users .. node)}
