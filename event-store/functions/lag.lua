-- How many entries of a topic come after a position.
--
-- KEYS 1 the topic's stream
-- ARGV 1 the position, 2 where to stop counting
local function lag(keys, args)
	local left, after, count = tonumber(args[2]), args[1], 0
	while left > 0 do
		local some = redis.call('XRANGE', keys[1], '(' .. after, '+', 'COUNT', math.min(left, 1000))
		count = count + #some
		if #some < math.min(left, 1000) then
			break
		end
		left = left - #some
		after = some[#some][1]
	end
	return count
end

redis.register_function{ function_name = 'eventstore_lag', callback = lag, flags = { 'no-writes' } }
