-- The checkpoints of persistent groups.

local function last_id(stream)
	local info = redis.pcall('XINFO', 'STREAM', stream)
	if info.err then
		return '0-0'
	end
	for i = 1, #info, 2 do
		if info[i] == 'last-generated-id' then
			return info[i + 1]
		end
	end
end

-- KEYS 1 the groups of a topic, 2 its stream
-- ARGV 1 the group, 2 where a new one starts: "beginning" or "live"
-- Returns the checkpoint (everything up to this entry id is acknowledged) and the last entry id that the
-- group may have been given before.
local function group_open(keys, args)
	local checkpoint, last = redis.call('HGET', keys[1], args[1]), last_id(keys[2])
	if checkpoint then
		return { checkpoint, last }
	end
	checkpoint = args[2] == 'live' and last or '0-0'
	redis.call('HSET', keys[1], args[1], checkpoint)
	return { checkpoint, checkpoint }
end

redis.register_function('eventstore_group_open', group_open)
