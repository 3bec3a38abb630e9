-- Moves of messages that were delivered before they were put on disk: their sender still has them.

-- queue_record: such messages are done; their outcomes are kept.
-- ARGV    keep_s, then (id, outcome) per message
-- returns one letter per message: S kept, U there is another outcome, which counts
redis.register_function('queue_record', function(keys, args)
	local ids, fields, states, seen = {}, {}, {}, {}
	for i = 2, #args, 2 do
		ids[#ids + 1] = args[i]
	end
	local done = outcomes_of(keys, ids)
	-- Sent again to another instance, while it was in the hands of a consumer of this one.
	local queued = redis.call('EXISTS', keys[MESSAGES]) == 1
	for i, id in ipairs(ids) do
		if done[i] or seen[id] then
			states[i] = 'U'
		else
			seen[id] = true
			states[i] = 'S'
			fields[#fields + 1] = id
			fields[#fields + 1] = args[2 * i + 1]
			if queued then
				remove(keys, id)
			end
		end
	end
	keep_outcomes(keys, fields, args[1])
	return table.concat(states)
end)

-- queue_adopt: such messages take longer, or their delivery has failed: they are put on disk, as in
-- flight.
-- ARGV    lease_ms, then (id, record) per message
-- returns how many; not those that are on the queue already, or have ended: sent again to another
-- instance, they would be delivered once more, and their first outcome would not count
redis.register_function('queue_adopt', function(keys, args)
	local ends, adopted = now_ms() + args[1], 0
	for i = 2, #args, 2 do
		local id = args[i]
		local ended = outcome_of(keys, id) or redis.call('HEXISTS', keys[DEAD], id) == 1
		if not ended and redis.call('HSETNX', keys[MESSAGES], id, args[i + 1]) == 1 then
			redis.call('HSET', keys[LEASES], id, ends)
			adopted = adopted + 1
		end
	end
	return adopted
end)
