-- Persistent groups: their checkpoints, and which store process serves each of them.
--
-- An owner is "<token> <ms>": the store that serves the group, and until when nobody else may. A token is
-- "<name>#<random>", the name equal after a restart: then nobody need wait for the end of the lease. Every
-- write of a group states its token and is refused when another store owns the group by now, so a store
-- that was stopped or cut off changes nothing when it comes back.

local LOST = -1

local function now_ms()
	local time = redis.call('TIME')
	return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function owner_of(owners, group)
	local owner = redis.call('HGET', owners, group)
	if not owner then
		return nil, 0
	end
	local space = string.find(owner, ' ', 1, true)
	return string.sub(owner, 1, space - 1), tonumber(string.sub(owner, space + 1))
end

local function name_of(token)
	return token and string.match(token, '^(.*)#')
end

local function own(owners, group, token, until_ms)
	redis.call('HSET', owners, group, string.format('%s %d', token, until_ms))
end

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

-- KEYS 1 the groups of a topic, 2 its stream, 3 the owners of its groups
-- ARGV 1 the group, 2 where a new one starts: "beginning" or "live", 3 the store's token, 4 its lease in ms
-- Returns the checkpoint (everything up to this entry id is acknowledged), the last entry id that the
-- group may have been given before, and 1 if this store was its last owner. Another store owns the
-- group, or an import all groups of the topic (import.lua): its token alone.
local function group_open(keys, args)
	local checkpoint, last = redis.call('HGET', keys[1], args[1]), last_id(keys[2])
	local owner, until_ms = owner_of(keys[3], args[1])
	local import = owner_of(keys[3], '')
	local now = now_ms()
	if import then
		return { import }
	elseif until_ms > now and name_of(owner) ~= name_of(args[3]) then
		return { owner }
	end
	own(keys[3], args[1], args[3], now + args[4])
	if checkpoint then
		return { checkpoint, last, owner == args[3] and 1 or 0 }
	end
	checkpoint = args[2] == 'live' and last or '0-0'
	redis.call('HSET', keys[1], args[1], checkpoint)
	return { checkpoint, checkpoint, 0 }
end

-- Saves the checkpoint and keeps the group; a lease of 0 gives it up.
-- KEYS 1 the groups, 2 their owners, 3 the group's replays
-- ARGV 1 the group, 2 the token, 3 the checkpoint, 4 the lease in ms
-- Returns how many parked events are to be delivered again, or -1: another store owns the group.
local function group_save(keys, args)
	if owner_of(keys[2], args[1]) ~= args[2] then
		return LOST
	end
	own(keys[2], args[1], args[2], args[4] == '0' and 0 or now_ms() + args[4])
	redis.call('HSET', keys[1], args[1], args[3])
	return redis.call('ZCARD', keys[3])
end

redis.register_function('eventstore_group_open', group_open)
redis.register_function('eventstore_group_save', group_save)
