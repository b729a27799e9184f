-- Keeps how far users have got in one session's log, and when each was last heard of.
--
-- KEYS  1 positions: hash, user -> "seq:heard:epoch" (heard: ms, this server's clock)
-- ARGV  1 how long the hash is kept (ms); then for each user: the user, epoch, seq, and how many ms ago it was heard
-- Gives for each user what stood there before: {epoch, seq, how many ms ago it was heard}, or nothing.
-- Within an epoch a position never goes back, and neither does the time. A seq of 0 says that the user was heard of,
-- and nothing of how far it has got.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local before = {}
for i = 2, #ARGV, 4 do
  local user, epoch = ARGV[i], ARGV[i + 1]
  local seq, heard = tonumber(ARGV[i + 2]), now - tonumber(ARGV[i + 3])
  local known = redis.call('HGET', KEYS[1], user)
  if known then
    local known_seq, known_heard, known_epoch = string.match(known, '^(%d+):(%d+):(.*)$')
    known_seq, known_heard = tonumber(known_seq), tonumber(known_heard)
    table.insert(before, {known_epoch, known_seq, now - known_heard})
    heard = math.max(heard, known_heard)
    if known_epoch == epoch then
      seq = math.max(seq, known_seq)
    elseif seq == 0 then
      epoch, seq = known_epoch, known_seq
    end
  else
    table.insert(before, {})
  end
  redis.call('HSET', KEYS[1], user, string.format('%.0f:%.0f:%s', seq, heard, epoch))
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return before
