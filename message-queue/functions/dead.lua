-- Dead letters: seen, sent again, dropped.

-- Never 1.7e+15, as Redis 7.2 may say.
local function place_text(place)
	return string.format('%.0f', place)
end

-- queue_dead: a page of them, those that were parked first.
-- ARGV    after: the place of the last one of the page before, '0' at first; limit; bytes, with which a
--         page is full
-- returns {more, list}
--   more  1: there are others after these
--   list  id, place, failed deliveries, reason, record, ...
redis.register_function('queue_dead', function(keys, args)
	local limit, room = tonumber(args[2]), tonumber(args[3])
	local page = redis.call('ZRANGEBYSCORE', keys[PARKED], '(' .. args[1], '+inf',
		'WITHSCORES', 'LIMIT', 0, limit + 1)
	local list, taken = {}, 0
	for i = 1, #page, 2 do
		if taken == limit or room <= 0 then
			return { 1, list }
		end
		local parked = redis.call('HGET', keys[DEAD], page[i])
		if parked then
			local noted, reason, from = read_parked(parked)
			list[#list + 1] = page[i]
			list[#list + 1] = place_text(page[i + 1])
			list[#list + 1] = noted % PRIORITY_STEP
			list[#list + 1] = reason
			list[#list + 1] = string.sub(parked, from)
			taken = taken + 1
			room = room - #parked
		end
	end
	return { 0, list }
end)

-- To the end of its list, with all attempts again; its record says that it may have been delivered before.
-- False: the entry is damaged, there is no record.
local function requeue(keys, id, parked)
	local noted, _, from = read_parked(parked)
	if from > #parked then
		return false
	end
	local failed, lane = failed_and_lane(noted)
	local again = string.char(bit.bor(string.byte(parked, from), 0x80))
	redis.call('HSET', keys[MESSAGES], id, again .. string.sub(parked, from + 1))
	if noted > failed then
		redis.call('HSET', keys[ATTEMPTS], id, noted - failed)
	end
	redis.call('RPUSH', keys[lane], id)
	return true
end

-- False: it is not parked, or damaged and can only be dropped.
local function unpark(keys, id, move)
	local parked = redis.call('HGET', keys[DEAD], id)
	if parked and move == 'requeue' and not requeue(keys, id, parked) then
		return false
	end
	redis.call('HDEL', keys[DEAD], id)
	redis.call('ZREM', keys[PARKED], id)
	return parked and true
end

-- queue_unpark: sends dead letters again, or drops them.
-- ARGV    'requeue' or 'drop', then id per message
-- returns how many; not those that are not parked, or damaged and not to be dropped
redis.register_function('queue_unpark', function(keys, args)
	local count = 0
	for i = 2, #args do
		if unpark(keys, args[i], args[1]) then
			count = count + 1
		end
	end
	return count
end)

-- queue_unpark_all: the same with those that were parked first.
-- ARGV    'requeue' or 'drop', how many are looked at, the place after which they begin, '0' at first, the place of
--         the last one; '': of all that are parked now
-- returns {count, place of the last one, place after which it goes on; '': that was all}
redis.register_function('queue_unpark_all', function(keys, args)
	local count, limit, last = 0, tonumber(args[2]), args[4]
	if last == '' then
		last = redis.call('ZRANGE', keys[PARKED], -1, -1, 'WITHSCORES')[2] or '0'
	end
	local page = redis.call('ZRANGEBYSCORE', keys[PARKED], '(' .. args[3], last, 'WITHSCORES', 'LIMIT', 0, limit)
	for i = 1, #page, 2 do
		count = count + (unpark(keys, page[i], args[1]) and 1 or 0)
	end
	return { count, last, #page == 2 * limit and place_text(page[#page]) or '' }
end)
