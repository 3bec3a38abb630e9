-- queue_expire: what is due returns: deliveries whose lease has ended, failed ones after their delay;
-- and messages that were sent with a delay join the queue.
-- ARGV    limit, max_attempts, cursor: where to look on among the leases ('0': from the start), or
--         'all': end every lease now (their consumers are known to be gone)
-- returns {pending, next, returned, parked, cursor}
--   pending   how many messages wait now
--   next      ms until the next delayed one is due; -1: there is none
--   returned  ids whose lease has ended and that wait again
--   parked    ids that were parked as dead
--   cursor    for the next call

-- The ids of one look at the leases whose time is over, oldest first.
local function ended_leases(keys, now, cursor, limit)
	local everything = cursor == 'all'
	local page = everything and { '0', redis.call('HGETALL', keys[LEASES]) }
		or redis.call('HSCAN', keys[LEASES], cursor, 'COUNT', limit)
	local ids, at = {}, {}
	for i = 1, #page[2], 2 do
		local id, returns = page[2][i], tonumber(page[2][i + 1])
		if not at[id] and (everything or returns <= now) then
			at[id] = returns
			ids[#ids + 1] = id
		end
	end
	table.sort(ids, function(a, b)
		return at[a] < at[b]
	end)
	return ids, page[1]
end

-- Failed ones go to the head of their list, the others to its end: in both cases the older first.
local function add_due(keys, now, limit)
	local due = redis.call('ZRANGEBYSCORE', keys[DELAYED], '-inf', now, 'LIMIT', 0, limit)
	if #due == 0 then
		return
	end
	redis.call('ZREM', keys[DELAYED], unpack(due))
	local noted = redis.call('HMGET', keys[ATTEMPTS], unpack(due))
	for i, id in ipairs(due) do
		local failed, lane = failed_and_lane(noted[i])
		if failed == 0 then
			redis.call('RPUSH', keys[lane], id)
		end
	end
	for i = #due, 1, -1 do
		local failed, lane = failed_and_lane(noted[i])
		if failed > 0 then
			redis.call('LPUSH', keys[lane], due[i])
		end
	end
end

redis.register_function('queue_expire', function(keys, args)
	local now = now_ms()
	local limit, max_attempts = args[1], tonumber(args[2])
	local returned, parked = {}, {}
	add_due(keys, now, limit)
	local ended, cursor = ended_leases(keys, now, args[3], limit)
	local heads = {}
	for _, id in ipairs(ended) do
		if outcome_of(keys, id) then
			-- Answered through the original interface, but never acknowledged.
			remove(keys, id)
		else
			redis.call('HDEL', keys[LEASES], id)
			local dead = give_back(keys, id, now, 0, max_attempts, 'its lease ended', heads)
			local list = dead and parked or returned
			list[#list + 1] = id
		end
	end
	return_heads(keys, heads)
	local first = redis.call('ZRANGE', keys[DELAYED], 0, 0, 'WITHSCORES')
	local wait = first[2] and math.max(0, first[2] - now) or -1
	return { waiting(keys), wait, returned, parked, cursor }
end)
