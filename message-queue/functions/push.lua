-- queue_push: puts messages on the queue, and gives the oldest ones to those who wait for work.
-- ARGV    max_pending, number of runs, number of special messages, (count, lease_ms) per run, (index from
--         1, priority, delay_ms) per special message, then (id, record) per message
-- returns {states, outcomes, given}
--   states    one letter per message: R reserved for the next free place of the runs, Q queued,
--             W waits for its time, D on the queue already, O done before, X parked as dead,
--             F refused: the queue is full
--   outcomes  of the O and X, in order: the outcome, the reason
--   given     as reserve returns; when the queue was not empty, older ones go first
-- Refuses single messages only; a repeated call changes nothing.

-- A message with a priority or a delay of its own: notes the priority, and puts it where it waits.
local function add_special(keys, now, id, special)
	if special.priority > 0 then
		redis.call('HSET', keys[ATTEMPTS], id, special.priority * PRIORITY_STEP)
	end
	if special.delay_ms > 0 then
		redis.call('ZADD', keys[DELAYED], now + special.delay_ms, id)
		return 'W'
	end
	redis.call('RPUSH', keys[LANE_OF[special.priority]], id)
	return 'Q'
end

local function push(keys, args)
	local now = now_ms()
	local runs, ids, records = {}, {}, {}
	local specials, first = {}, 4 + 2 * args[2]
	for i = 4, first - 1 do
		runs[#runs + 1] = tonumber(args[i])
	end
	for _ = 1, args[3] do
		local priority, delay_ms = tonumber(args[first + 1]), tonumber(args[first + 2])
		specials[tonumber(args[first])] = { priority = priority, delay_ms = delay_ms }
		first = first + 3
	end
	for i = first, #args, 2 do
		ids[#ids + 1] = args[i]
		records[#records + 1] = args[i + 1]
	end
	local on_queue = redis.call('HMGET', keys[MESSAGES], unpack(ids))
	local done = outcomes_of(keys, ids)
	local parked = redis.call('HLEN', keys[DEAD])
	local dead = parked > 0 and redis.call('HMGET', keys[DEAD], unpack(ids))
	local room = args[1] - redis.call('HLEN', keys[MESSAGES]) - parked

	local states, outcomes, seen, fields, fresh, places, added = {}, {}, {}, {}, {}, {}, 0
	for i, id in ipairs(ids) do
		local outcome = done[i]
		if on_queue[i] or seen[id] or outcome == ACKED then
			states[i] = 'D'
		elseif outcome then
			states[i] = 'O'
			outcomes[#outcomes + 1] = outcome
		elseif dead and dead[i] then
			states[i] = 'X'
			outcomes[#outcomes + 1] = reason_of(dead[i])
		elseif added >= room then
			states[i] = 'F'
		else
			seen[id] = true
			added = added + 1
			states[i] = specials[i] and add_special(keys, now, id, specials[i]) or 'Q'
			if not specials[i] then
				fresh[#fresh + 1] = id
				places[#places + 1] = i
			end
			fields[#fields + 1] = id
			fields[#fields + 1] = records[i]
		end
	end
	if added > 0 then
		redis.call('HSET', keys[MESSAGES], unpack(fields))
	end
	if redis.call('EXISTS', keys[PENDING], keys[HIGH], keys[LOW]) > 0 then
		if #fresh > 0 then
			redis.call('RPUSH', keys[PENDING], unpack(fresh))
		end
		return { table.concat(states), outcomes, reserve(keys, now, runs) }
	end

	local leases, next_fresh = {}, 1
	for r = 1, #runs, 2 do
		for _ = 1, runs[r] do
			if next_fresh > #fresh then
				break
			end
			leases[#leases + 1] = fresh[next_fresh]
			leases[#leases + 1] = now + runs[r + 1]
			states[places[next_fresh]] = 'R'
			next_fresh = next_fresh + 1
		end
	end
	if #leases > 0 then
		redis.call('HSET', keys[LEASES], unpack(leases))
	end
	if next_fresh <= #fresh then
		redis.call('RPUSH', keys[PENDING], unpack(fresh, next_fresh))
	end
	return { table.concat(states), outcomes, {} }
end
redis.register_function('queue_push', push)
