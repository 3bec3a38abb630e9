-- queue_outcome: what has become of messages.
-- ARGV    id per message
-- returns letter, detail, ... per message: Q waits, L in flight, A taken off but not answered yet,
--         O done (detail: outcome), X dead (detail: reason), U unknown
redis.register_function('queue_outcome', function(keys, args)
	local states = {}
	for _, id in ipairs(args) do
		local outcome = outcome_of(keys, id)
		local dead = not outcome and redis.call('HGET', keys[DEAD], id)
		local state, detail = 'U', ''
		if outcome == ACKED then
			state = 'A'
		elseif outcome then
			state, detail = 'O', outcome
		elseif dead then
			state, detail = 'X', reason_of(dead)
		elseif redis.call('HEXISTS', keys[LEASES], id) == 1 then
			state = 'L'
		elseif redis.call('HEXISTS', keys[MESSAGES], id) == 1 then
			state = 'Q'
		end
		states[#states + 1] = state
		states[#states + 1] = detail
	end
	return states
end)

-- queue_info: how the queue stands.
-- returns {pending, delayed, in flight, dead, id of the oldest that waits, first 8 bytes of its record}
redis.register_function('queue_info', function(keys, args)
	local id = redis.call('LINDEX', keys[PENDING], 0)
	local record = id and redis.call('HGET', keys[MESSAGES], id)
	return {
		redis.call('LLEN', keys[PENDING]), redis.call('ZCARD', keys[DELAYED]),
		redis.call('HLEN', keys[LEASES]), redis.call('HLEN', keys[DEAD]),
		id or '', record and string.sub(record, 1, 8) or '',
	}
end)
