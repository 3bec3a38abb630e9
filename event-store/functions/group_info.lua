-- How a group stands.
--
-- KEYS 1 the topic's stream, 2 the owners of its groups, 3 the group's parked events, 4 its replays
-- ARGV 1 the group, 2 its checkpoint, 3 where to stop counting
-- Returns how many entries come after the checkpoint, the age of the first of them in ms, how many
-- events are parked and how many to be delivered again, and the owner or "".
local function group_info(keys, args)
	local left, after, count, oldest = tonumber(args[3]), args[2], 0, nil
	local time = redis.call('TIME')
	local now = time[1] * 1000 + math.floor(time[2] / 1000)
	while left > 0 do
		local some = redis.call('XRANGE', keys[1], '(' .. after, '+', 'COUNT', math.min(left, 1000))
		count = count + #some
		oldest = oldest or (some[1] and some[1][1])
		if #some < math.min(left, 1000) then
			break
		end
		left = left - #some
		after = some[#some][1]
	end
	local age = oldest and math.max(now - string.match(oldest, '^%d+'), 1) or 0
	local token, until_ms = string.match(redis.call('HGET', keys[2], args[1]) or '', '^(.*) (%d+)$')
	local owner = token and tonumber(until_ms) > now and token or ''
	return { count, age, redis.call('HLEN', keys[3]), redis.call('ZCARD', keys[4]), owner }
end

redis.register_function{
	function_name = 'eventstore_group_info', callback = group_info, flags = { 'no-writes' }
}
