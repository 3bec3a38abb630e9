-- Imports: histories with ids of their own, on their way into topics without events.
--
-- Events are written by plain XADD NOMKSTREAM to a stream of the import, whose key ends in the token of the
-- call that writes: another call that goes on with the import renames it, and what the first one still
-- sends goes nowhere. After each run of events `note` checks and notes it; what was not noted is taken back
-- when the import goes on. `publish` makes stream and heads the topic's own.
--
-- The state of an import: id, token, state (open, published, done), first, last, count. Until it is done the
-- topic is locked: the head of the entity "" is "!<import id>", and the owner of the group "" keeps groups from
-- being opened.
--
-- Every function returns a text or an array; a text that begins with "!" is a refusal: "!T" another call has taken
-- the import over, "!E" the topic has events, "!O <id>" another import is under way, "!P" it is being finished.

local TAKEN = '!T'
local NOTHING = '0-0'

local function facts(state)
	return redis.call('HMGET', state, 'state', 'count', 'first', 'last')
end

local function create_stream(key)
	redis.call('XGROUP', 'CREATE', key, 'g', '$', 'MKSTREAM')
	redis.call('XGROUP', 'DESTROY', key, 'g')
end

local function create(keys, id, token)
	local stream, heads, state, staged = keys[1], keys[2], keys[3], keys[4] .. token
	if redis.call('XLEN', stream) > 0 or redis.call('HLEN', heads) > 0 then
		return '!E'
	end
	create_stream(staged)
	redis.call('HSET', heads, '', '!' .. id)
	redis.call('HSET', state, 'id', id, 'token', token, 'state', 'open', 'count', '0', 'first', NOTHING, 'last', NOTHING)
	return facts(state)
end

-- What was written and not noted is taken back, also from the stream's memory of what was deleted: later versions of
-- Redis give no id at or below that.
local function take_over(state, staged, old, token)
	redis.call('RENAME', staged .. old, staged .. token)
	staged = staged .. token
	local last = redis.call('HGET', state, 'last')
	if last == NOTHING then
		redis.call('UNLINK', staged)
		create_stream(staged)
		return
	end
	for _, entry in ipairs(redis.call('XRANGE', staged, '(' .. last, '+')) do
		redis.call('XDEL', staged, entry[1])
	end
	redis.call('XSETID', staged, last, 'MAXDELETEDID', last)
end

-- KEYS 1 the topic's stream, 2 its heads, 3 the state of its import, 4 the beginning of the key of the import's
--      stream: the token behind it may be one that only the state knows, so that key cannot be named here. It is in
--      the slot of the others.
-- ARGV 1 the import's id, 2 the token of the call
-- Returns state, count, first and last id.
local function begin(keys, args)
	local state, staged, id, token = keys[3], keys[4], args[1], args[2]
	local found = redis.call('HMGET', state, 'id', 'token', 'state', 'count')
	local empty = found[3] == 'done' and found[4] == '0'
	if not found[1] or empty and found[1] ~= id then
		return create(keys, id, token)
	elseif found[1] ~= id then
		return found[3] == 'done' and '!E' or '!O ' .. found[1]
	end
	if found[3] == 'open' then
		take_over(state, staged, found[2], token)
	end
	redis.call('HSET', state, 'token', token)
	return facts(state)
end

-- KEYS 1 the state, 2 the import's stream, 3 its heads, 4.. dedupe buckets
-- ARGV 1 the token, 2 the last id noted before, 3 and 4 first and last id of the run, 5 its number of events,
--      6 number of entities n, the n entities, their versions before, n pairs of entity and head; then for each
--      bucket its end (seconds since the epoch), number of ids, the event ids, pairs of event id and line
-- Returns "", or also "!L" not all events were taken, "!V <index> <version>" an entity (counted from 0) had another
-- version before, "!D <event id>" is known.
local function note(keys, args)
	local call = redis.call
	local state = call('HMGET', keys[1], 'token', 'last', 'count', 'state')
	local count, n = tonumber(args[5]), tonumber(args[6])
	if state[1] ~= args[1] or state[4] ~= 'open' then
		return TAKEN
	elseif state[2] ~= args[2] or call('XLEN', keys[2]) ~= state[3] + count then
		return '!L'
	end
	local found = n > 0 and call('HMGET', keys[3], unpack(args, 7, 6 + n)) or {}
	for i = 1, n do
		local head = found[i]
		local version = head and string.sub(head, 1, string.find(head, ' ', 1, true) - 1) or '0'
		if version ~= args[6 + n + i] then
			return '!V ' .. i - 1 .. ' ' .. version
		end
	end
	local first = 7 + 4 * n
	local at = first
	for k = 4, #keys do
		local ids = tonumber(args[at + 1])
		local known = call('HMGET', keys[k], unpack(args, at + 2, at + 1 + ids))
		for i = 1, ids do
			if known[i] then
				return '!D ' .. args[at + 1 + i]
			end
		end
		at = at + 2 + 3 * ids
	end
	at = first
	for k = 4, #keys do
		local ids = tonumber(args[at + 1])
		call('HSET', keys[k], unpack(args, at + 2 + ids, at + 1 + 3 * ids))
		call('EXPIREAT', keys[k], args[at])
		at = at + 2 + 3 * ids
	end
	if n > 0 then
		call('HSET', keys[3], unpack(args, 7 + 2 * n, 6 + 4 * n))
	end
	if state[3] == '0' then
		call('HSET', keys[1], 'first', args[3])
	end
	call('HSET', keys[1], 'last', args[4], 'count', string.format('%d', state[3] + count))
	return ''
end

-- Takes the topic's groups from those who serve them, and keeps them from being opened.
-- KEYS 1 the state, 2 the owners of the topic's groups
-- ARGV 1 the token, 2 the token of the store's own groups
-- Returns an array: how many ms the store that had one of them may still think so.
local function seize(keys, args)
	local state = redis.call('HMGET', keys[1], 'token', 'state')
	if state[1] ~= args[1] then
		return TAKEN
	elseif state[2] == 'done' then
		return { 0 }
	end
	local time, wait = redis.call('TIME'), 0
	local now = time[1] * 1000 + math.floor(time[2] / 1000)
	local owners = redis.call('HGETALL', keys[2])
	for i = 1, #owners, 2 do
		local token, until_ms = string.match(owners[i + 1], '^(.*) (%d+)$')
		if owners[i] ~= '' then
			redis.call('HDEL', keys[2], owners[i])
			if token ~= args[2] then
				wait = math.max(wait, until_ms - now)
			end
		end
	end
	redis.call('HSET', keys[2], '', string.format('import#%s %d', args[1], now))
	return { wait }
end

-- KEYS 1 the state, 2 the import's stream, 3 its heads, 4 the topic's stream, 5 its heads, 6 its groups
-- ARGV 1 the token, then pairs of group and checkpoint
local function publish(keys, args)
	local state = redis.call('HMGET', keys[1], 'token', 'state', 'count', 'last', 'id')
	if state[1] ~= args[1] then
		return TAKEN
	elseif state[2] == 'done' then
		return ''
	end
	if state[2] == 'open' then
		redis.call('DEL', keys[5])
		if state[3] == '0' then
			redis.call('DEL', keys[2], keys[3])
		else
			redis.call('RENAME', keys[2], keys[4])
		end
		if redis.call('EXISTS', keys[3]) == 1 then
			redis.call('RENAME', keys[3], keys[5])
		end
		redis.call('HSET', keys[5], '', '!' .. state[5])
		redis.call('HSET', keys[1], 'state', 'published')
	end
	for _, group in ipairs(redis.call('HKEYS', keys[6])) do
		redis.call('HSET', keys[6], group, state[4])
	end
	for i = 2, #args, 2 do
		redis.call('HSET', keys[6], args[i], args[i + 1])
	end
	return ''
end

-- Unlocks the topic. One to which nothing was brought is free for another import as well.
-- KEYS 1 the state, 2 the topic's heads, 3 the owners of its groups
-- ARGV 1 the token
local function release(keys, args)
	local state = redis.call('HMGET', keys[1], 'token', 'state', 'count', 'last')
	if state[1] ~= args[1] then
		return TAKEN
	elseif state[2] == 'done' then
		return ''
	end
	redis.call('HDEL', keys[3], '')
	if state[3] == '0' then
		redis.call('HDEL', keys[2], '')
	else
		redis.call('HSET', keys[2], '', state[4])
	end
	redis.call('HSET', keys[1], 'state', 'done')
	return ''
end

-- KEYS 1 the state, 2 the topic's heads, 3 the owners of its groups, 4 the import's stream, 5 its heads,
--      6.. dedupe buckets
-- ARGV 1 the token
local function abandon(keys, args)
	local state = redis.call('HMGET', keys[1], 'token', 'state')
	if state[1] ~= args[1] then
		return TAKEN
	elseif state[2] ~= 'open' then
		return '!P'
	end
	redis.call('HDEL', keys[3], '')
	redis.call('UNLINK', keys[1], keys[2], unpack(keys, 4))
	return ''
end

redis.register_function('eventstore_import_begin', begin)
redis.register_function('eventstore_import_note', note)
redis.register_function('eventstore_import_seize', seize)
redis.register_function('eventstore_import_publish', publish)
redis.register_function('eventstore_import_release', release)
redis.register_function('eventstore_import_abandon', abandon)
