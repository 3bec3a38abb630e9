-- queue_reserve: gives the oldest messages to those who wait for work.
-- ARGV    (count, lease_ms) per run
-- returns id, record, attempt, ... in the order of the runs; fewer when the queue is empty
redis.register_function('queue_reserve', function(keys, args)
	local runs = {}
	for i, arg in ipairs(args) do
		runs[i] = tonumber(arg)
	end
	return reserve(keys, now_ms(), runs)
end)
