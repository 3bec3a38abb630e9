-- Moves of clients of the original interface: they acknowledge and respond in two steps.

-- queue_ack: takes a message off the queue; its outcome comes later.
-- ARGV    keep_s, id
-- returns 1, or 0 when it is not on the queue
redis.register_function('queue_ack', function(keys, args)
	if not remove(keys, args[2]) then
		return 0
	end
	if not outcome_of(keys, args[2]) then
		keep_outcomes(keys, { args[2], ACKED }, args[1])
	end
	return 1
end)

-- queue_respond: keeps the outcome of a message, known or not.
-- ARGV    keep_s, id, outcome
-- returns the outcome that counts: the first one
-- A message in flight stays there until it is acknowledged; one that waits again is done.
redis.register_function('queue_respond', function(keys, args)
	local id = args[2]
	local first = outcome_of(keys, id)
	if first and first ~= ACKED then
		return first
	end
	if redis.call('HEXISTS', keys[LEASES], id) == 0 then
		remove(keys, id)
	end
	keep_outcomes(keys, { id, args[3] }, args[1])
	return args[3]
end)

-- queue_forget: removes an outcome.
-- ARGV    id, the outcome that it must be
-- returns 1, or 0 when it is not there
redis.register_function('queue_forget', function(keys, args)
	if outcome_of(keys, args[1]) ~= args[2] then
		return 0
	end
	return math.max(redis.call('HDEL', keys[DONE], args[1]), redis.call('HDEL', keys[DONE_BEFORE], args[1]))
end)
