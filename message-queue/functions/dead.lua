-- Dead letters: seen, sent again, dropped.

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
			list[#list + 1] = string.format('%.0f', page[i + 1]) -- never 1.7e+15, as Redis 7.2 may say
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

-- True: moved; false: it is damaged and can only be dropped; nil: it is not parked.
local function unpark(keys, id, move)
	local parked = redis.call('HGET', keys[DEAD], id)
	if parked and move == 'requeue' and not requeue(keys, id, parked) then
		return false
	end
	redis.call('HDEL', keys[DEAD], id)
	redis.call('ZREM', keys[PARKED], id)
	return parked and true or nil
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
-- ARGV    'requeue' or 'drop', limit, place of the last one; '': of all that are parked now
-- returns {count, place of the last one}; fewer than the limit: that was all
redis.register_function('queue_unpark_all', function(keys, args)
	local count, stay, limit, last = 0, 0, tonumber(args[2]), args[3]
	if last == '' then
		last = redis.call('ZRANGE', keys[PARKED], -1, -1, 'WITHSCORES')[2] or '0'
	end
	repeat
		local ids = redis.call('ZRANGEBYSCORE', keys[PARKED], '-inf', last, 'LIMIT', stay, limit - count)
		for _, id in ipairs(ids) do
			local moved = unpark(keys, id, args[1])
			count = count + (moved and 1 or 0)
			stay = stay + (moved == false and 1 or 0)
		end
	until #ids == 0 or count == limit
	return { count, last }
end)
