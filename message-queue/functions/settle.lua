-- queue_settle: messages are done; their outcomes are kept.
-- ARGV    keep_s, then (id, outcome) per message
-- returns one letter per message: S settled, U unknown (settled by another delivery before)
-- An id may come twice, when its first delivery could not be settled in time: the first outcome counts.
-- A message whose lease has ended is settled as well, wherever it is: its work is done.
redis.register_function('queue_settle', function(keys, args)
	local ids, fields, states, seen = {}, {}, {}, {}
	for i = 2, #args, 2 do
		ids[#ids + 1] = args[i]
	end
	local leases = redis.call('HMGET', keys[LEASES], unpack(ids))
	local held = {}
	for i, id in ipairs(ids) do
		local first = not seen[id]
		seen[id] = true
		if first and leases[i] then
			held[#held + 1] = id
		end
		if first and (leases[i] or remove(keys, id)) then
			states[i] = 'S'
			fields[#fields + 1] = id
			fields[#fields + 1] = args[2 * i + 1]
		else
			states[i] = 'U'
		end
	end
	if #held > 0 then
		redis.call('HDEL', keys[LEASES], unpack(held))
		redis.call('HDEL', keys[MESSAGES], unpack(held))
		if redis.call('EXISTS', keys[ATTEMPTS]) == 1 then
			redis.call('HDEL', keys[ATTEMPTS], unpack(held))
		end
	end
	keep_outcomes(keys, fields, args[1])
	return table.concat(states)
end)

-- queue_retry: deliveries failed, or their consumer has gone.
-- ARGV    (id, delay_ms, max_attempts, reason) per message, oldest first
-- returns one letter per message: Q waits again, X parked as dead, U not in flight
redis.register_function('queue_retry', function(keys, args)
	local now, states, heads = now_ms(), {}, {}
	for i = 1, #args, 4 do
		local id = args[i]
		local state = 'U'
		if redis.call('HDEL', keys[LEASES], id) == 1 then
			state = give_back(keys, id, now, tonumber(args[i + 1]), tonumber(args[i + 2]), args[i + 3],
				heads) and 'X' or 'Q'
		end
		states[#states + 1] = state
	end
	return_heads(keys, heads)
	return table.concat(states)
end)

-- queue_extend: a consumer needs more time for a delivery.
-- ARGV    id, lease_ms from now
-- returns 1, or 0 when the lease has ended
redis.register_function('queue_extend', function(keys, args)
	local now = now_ms()
	local returns = tonumber(redis.call('HGET', keys[LEASES], args[1]) or 0)
	if returns <= now then
		return 0
	end
	redis.call('HSET', keys[LEASES], args[1], now + args[2])
	return 1
end)

-- queue_release: messages were reserved, but never delivered. They return as if untouched.
-- ARGV    id per message, oldest first
-- returns how many
redis.register_function('queue_release', function(keys, args)
	local released = 0
	for i = #args, 1, -1 do
		if redis.call('HDEL', keys[LEASES], args[i]) == 1 then
			redis.call('LPUSH', lane_of(keys, args[i]), args[i])
			released = released + 1
		end
	end
	return released
end)
