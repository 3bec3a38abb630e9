-- The events that a group has set aside, and those that are to be delivered to it once more.
--
-- The index orders the parked events by time: score = microseconds of the entry id, member = entry id. The
-- replays have the same form. Facts of a parked event: "<attempts> <parked at ms> <reason>".

local LOST, PAGE_BYTES, BATCH = -1, 1024 * 1024, 5000

local function score(id)
	local ms, us = string.match(id, '^(%d+)-(%d+)$')
	return string.format('%d', ms * 1000 + math.min(us, 999))
end

-- KEYS 1 the owners of the topic's groups, 2 the group's parked events, 3 their index, 4 its replays
-- ARGV 1 the group, 2 the store's token, 3 the entry id, 4 its attempts, 5 the reason
-- Returns 1, or -1: another store owns the group.
local function park(keys, args)
	local owner = redis.call('HGET', keys[1], args[1])
	if not owner or string.sub(owner, 1, #args[2] + 1) ~= args[2] .. ' ' then
		return LOST
	end
	local time = redis.call('TIME')
	local facts = string.format('%s %d %s', args[4], time[1] * 1000 + math.floor(time[2] / 1000), args[5])
	redis.call('HSET', keys[2], args[3], facts)
	redis.call('ZADD', keys[3], score(args[3]), args[3])
	redis.call('ZREM', keys[4], args[3])
	return 1
end

-- The first events of an index after a member of it, with at most `limit` and about PAGE_BYTES.
-- Calls `add(id, entry)`, entry being nil when the log does not hold it any more. Returns the last
-- member, if there are more.
local function page(index, stream, after, limit, add)
	local from = after == '' and '-inf' or score(after)
	local bytes, count, skip, last = 0, 0, 0, nil
	while true do
		local ids = redis.call('ZRANGEBYSCORE', index, from, '+inf', 'LIMIT', skip, 100)
		for _, id in ipairs(ids) do
			if score(id) ~= from or id > after then
				if count >= limit or (count > 0 and bytes >= PAGE_BYTES) then
					return last
				end
				local entry = redis.call('XRANGE', stream, id, id)[1]
				for i = 2, entry and #entry[2] or 0, 2 do
					bytes = bytes + #entry[2][i]
				end
				add(id, entry)
				count, last = count + 1, id
			end
		end
		if #ids < 100 then
			return nil
		end
		skip = skip + 100
	end
end

-- KEYS 1 the parked events, 2 their index, 3 the stream
-- ARGV 1 the last of the page before or "", 2 the limit
-- Returns how many there are, the last id if there are more or "", and for each its id, facts and
-- an array with its entry or none.
local function list(keys, args)
	local result = { redis.call('ZCARD', keys[2]), '' }
	local last = page(keys[2], keys[3], args[1], tonumber(args[2]), function(id, entry)
		result[#result + 1] = id
		result[#result + 1] = redis.call('HGET', keys[1], id) or ''
		result[#result + 1] = { entry }
	end)
	result[2] = last or ''
	return result
end

-- KEYS 1 the parked events, 2 their index, 3 the group's replays
-- ARGV 1 "replay" or "drop", 2.. entry ids; none: the first BATCH of all
-- Returns how many were there.
local function take(keys, args)
	local count, ids = 0, {}
	if #args == 1 then
		ids = redis.call('ZRANGE', keys[2], 0, BATCH - 1)
	else
		ids = { unpack(args, 2) }
	end
	for _, id in ipairs(ids) do
		if redis.call('ZREM', keys[2], id) == 1 then
			redis.call('HDEL', keys[1], id)
			if args[1] == 'replay' then
				redis.call('ZADD', keys[3], score(id), id)
			end
			count = count + 1
		end
	end
	return count
end

-- KEYS 1 the replays, 2 the stream
-- ARGV 1 the limit
-- Returns the entries of the first of them. Those that the log does not hold any more are forgotten.
local function replays(keys, args)
	local entries, gone = {}, {}
	page(keys[1], keys[2], '', tonumber(args[1]), function(id, entry)
		local list = entry and entries or gone
		list[#list + 1] = entry or id
	end)
	for _, id in ipairs(gone) do
		redis.call('ZREM', keys[1], id)
	end
	return entries
end

redis.register_function('eventstore_park', park)
redis.register_function{ function_name = 'eventstore_parked', callback = list, flags = { 'no-writes' } }
redis.register_function('eventstore_parked_take', take)
redis.register_function('eventstore_replays', replays)
