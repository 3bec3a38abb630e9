-- queue_purge: takes messages that wait off the queue, those first that would be served first; their
-- outcome says so.
-- ARGV    keep_s, limit, outcome
-- returns {left, ids}
--   left  how many more wait, also for their time
--   ids   of those that were taken off
redis.register_function('queue_purge', function(keys, args)
	local limit = tonumber(args[2])
	local ids = take(keys, LANES, limit) or {}
	if #ids < limit then
		local delayed = redis.call('ZPOPMIN', keys[DELAYED], limit - #ids)
		for i = 1, #delayed, 2 do
			ids[#ids + 1] = delayed[i]
		end
	end
	if #ids > 0 then
		redis.call('HDEL', keys[MESSAGES], unpack(ids))
		redis.call('HDEL', keys[ATTEMPTS], unpack(ids))
		local fields = {}
		for _, id in ipairs(ids) do
			fields[#fields + 1] = id
			fields[#fields + 1] = args[3]
		end
		keep_outcomes(keys, fields, args[1])
	end
	return { waiting(keys) + redis.call('ZCARD', keys[DELAYED]), ids }
end)
