-- Shared token buckets: takes out of each what one node has given, refilled before, and says what is left.
--
-- KEYS  the buckets: string "level at" (at: ms, this server's clock). A bucket that is missing is full
-- ARGV  for each: rate (tokens a second)  burst  tokens taken (1 or more)
-- Gives for each the level as text. It may be below zero: nodes give tokens before they ask.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local levels = {}
for n, key in ipairs(KEYS) do
  local rate, burst, taken = tonumber(ARGV[3 * n - 2]), tonumber(ARGV[3 * n - 1]), tonumber(ARGV[3 * n])
  local level = burst
  local stored = redis.call('GET', key)
  if stored then
    local then_level, at = string.match(stored, '^(%S+) (%S+)$')
    -- A clock that was put back fills nothing.
    level = math.min(burst, tonumber(then_level) + math.max(0, now - tonumber(at)) * rate / 1000)
  end
  level = level - taken
  levels[n] = string.format('%.9f', level)
  -- Once it is full it need not be remembered.
  local fills = math.ceil((burst - level) / rate * 1000)
  redis.call('SET', key, string.format('%.9f %.0f', level, now), 'PX', string.format('%.0f', fills))
end
return levels
