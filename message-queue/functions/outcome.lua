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

-- The time in a record, without the bit that says that it may have been delivered before.
local function queued_ms(record)
	local first, rest = string.byte(record, 1) % 128, string.sub(record, 2, 8)
	return (struct.unpack('>I8', string.char(first) .. rest))
end

-- queue_info: how the queue stands.
-- returns {waiting, delayed, in flight, dead, id of the one that is served next, when the oldest that waits
-- was queued (ms; 0: none waits)}
redis.register_function('queue_info', function(keys, args)
	local next_id, oldest
	for _, lane in ipairs(LANES) do
		local id = redis.call('LINDEX', keys[lane], 0)
		local record = id and redis.call('HGET', keys[MESSAGES], id)
		local queued = record and queued_ms(record)
		next_id = next_id or id
		oldest = oldest and queued and math.min(oldest, queued) or oldest or queued
	end
	return {
		waiting(keys), redis.call('ZCARD', keys[DELAYED]),
		redis.call('HLEN', keys[LEASES]), redis.call('HLEN', keys[DEAD]),
		next_id or '', oldest or 0,
	}
end)
