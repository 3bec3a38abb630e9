-- Appends many requests to one topic. Each request is atomic for itself: all of its events or none.
--
-- KEYS  1 the topic's stream, 2 the heads of its entities, 3 the dedupe bucket to write,
--       4.. further dedupe buckets to look into
-- ARGV  1 life of a bucket in seconds, 2 and 3 the lowest id that may be given (ms, us), then for
--       each request: number of events, and for each event: expected version (* any, ! none,
--       + exists, or the number, or "<number> <event id>": that event must have made it; - never, alone
--       in its request), event_id, event_action, event_data, event_type, entity_id, metadata
--
-- Returns one text, lines in the order of the requests. A request that was appended or had been:
-- a line "<version> <entry id>" for each event, with "=" before it if it had been. Of one that is never to
-- be the line is "0 ", and so it is kept. One that was refused: a single line
-- "!<why> <index of the event> <current version of its entity>", why being V (version), M (some event ids
-- are known and some are not), D (one event id twice), N (it is never to be), or "!I <import id>": the topic
-- is locked by an import.
--
-- A head is "<version> <entry id>", with " d" after it if the last event deleted the entity; the head of
-- the entity "" is the last entry id of the topic, or "!<import id>" (import.lua). Nothing is written before
-- everything that could raise an error has been read.
--
-- Lists by the number of the event or of the entity instead of tables by their names, and digits made
-- once: what Lua does costs more than what Redis does here.
local PER_EVENT = 7
local LAST = ''
local LOCKED = 33 -- '!'
local NEVER, VOID = '-', '0 '

local digits = {}
for i = 0, 999 do
	digits[i] = i .. ''
end

local function decimal(number)
	return digits[number] or string.format('%d', number)
end

-- The last id that the stream has given, as the stream itself knows it; nil: there is no stream.
-- Costs more than the rest of a small append, so the heads keep it too.
local function last_given(stream)
	local info = redis.pcall('XINFO', 'STREAM', stream)
	if info.err then
		if string.find(info.err, 'no such key', 1, true) then
			return nil
		end
		error(info)
	end
	for i = 1, #info, 2 do
		if info[i] == 'last-generated-id' then
			return info[i + 1]
		end
	end
end

-- The first id to give: now, or just past the last one.
local function first_id(last, floor_ms, floor_us)
	local now = redis.call('TIME')
	local micros = tonumber(now[2])
	local ms, us = now[1] * 1000 + math.floor(micros / 1000), micros % 1000
	if floor_ms > ms or (floor_ms == ms and floor_us > us) then
		ms, us = floor_ms, floor_us
	end
	if last then
		local dash = string.find(last, '-', 1, true)
		local last_ms, last_us = tonumber(string.sub(last, 1, dash - 1)), tonumber(string.sub(last, dash + 1))
		if last_ms > ms or (last_ms == ms and last_us >= us) then
			ms, us = last_ms, last_us + 1
		end
	end
	return ms, us
end

local function refused(expect, version, deleted, known)
	if expect == '*' then
		return false
	elseif expect == '!' then
		return version > 0 and not deleted
	elseif expect == '+' then
		return version == 0 or deleted
	end
	local number = tonumber(expect)
	if number then
		return version ~= number
	end
	-- The version alone may be that of another writer's event.
	local space = string.find(expect, ' ', 1, true)
	local line = known[string.sub(expect, space + 1)]
	number = string.sub(expect, 1, space)
	return version ~= tonumber(number) or not line or string.sub(line, 1, space) ~= number
end

-- The event ids, behind them those that must be there before; the entities, LAST first; by event, the
-- place of its entity among them (1: of none).
local function collect(args)
	local events, entities, entity_of, place_of, count = {}, { LAST }, {}, { [LAST] = 1 }, 0
	local before = {}
	local i, total = 4, #args
	while i < total do
		local last = i + args[i] * PER_EVENT
		for e = i + 1, last, PER_EVENT do
			local entity = args[e + 5]
			local place = place_of[entity]
			if not place then
				place = #entities + 1
				entities[place] = entity
				place_of[entity] = place
			end
			count = count + 1
			events[count] = args[e + 1]
			entity_of[count] = place
			local space = string.find(args[e], ' ', 1, true)
			if space then
				before[#before + 1] = string.sub(args[e], space + 1)
			end
		end
		i = last + 1
	end
	for k = 1, #before do
		events[count + k] = before[k]
	end
	return events, entities, entity_of
end

-- The version of each entity by its place, and whether it is deleted.
local function read_heads(found, count)
	local versions, deleted = { 0 }, {}
	for i = 2, count do
		local head = found[i]
		if head then
			versions[i] = tonumber(string.sub(head, 1, string.find(head, ' ', 1, true) - 1))
			deleted[i] = string.sub(head, -1) == 'd'
		else
			versions[i] = 0
		end
	end
	return versions, deleted
end

-- What is known of event ids: event id -> line.
local function look_up(keys, events, new_bucket)
	local known = {}
	local others = redis.call('EXISTS', unpack(keys, 4)) > 0
	for k = new_bucket and 4 or 3, others and #keys or 3 do
		local found = redis.call('HMGET', keys[k], unpack(events))
		for i = 1, #events do
			if found[i] then
				known[events[i]] = found[i]
			end
		end
	end
	return known
end

-- Looks at a request of several events, at args[first], args[first + PER_EVENT], ...; the first of them
-- is event number `n`. Returns why it is refused and where; else how many of its events are known.
-- Moves `versions` and `deleted` on as if it were appended, unless it is refused.
local function check(args, first, last, n, entity_of, versions, deleted, known)
	local repeats, mine = 0, {}
	for e = first, last, PER_EVENT do
		local event_id = args[e + 1]
		if known[event_id] == VOID then
			return 'N', e
		elseif known[event_id] then
			repeats = repeats + 1
		elseif mine[event_id] then
			return 'D', e
		end
		mine[event_id] = true
	end
	local count = (last - first) / PER_EVENT + 1
	if repeats > 0 then
		return repeats < count and 'M' or nil, repeats < count and first or repeats
	end
	local old = {}
	for e = first, last, PER_EVENT do
		local place = entity_of[n]
		n = n + 1
		if place > 1 then
			if refused(args[e], versions[place], deleted[place], known) then
				for k = #old, 1, -1 do
					versions[old[k][1]], deleted[old[k][1]] = old[k][2], old[k][3]
				end
				return 'V', e
			end
			old[#old + 1] = { place, versions[place], deleted[place] }
			versions[place] = versions[place] + 1
			deleted[place] = args[e + 2] == 'entity_deleted'
		end
	end
	-- The events take their versions one by one again.
	for k = #old, 1, -1 do
		versions[old[k][1]] = old[k][2]
	end
	return nil, 0
end

-- The answer when the topic is being imported: `lock` is "!<import id>".
local function locked(args, lock)
	local lines, i = {}, 4
	while i < #args do
		lines[#lines + 1] = '!I ' .. string.sub(lock, 2)
		i = i + 1 + args[i] * PER_EVENT
	end
	return table.concat(lines, '\n')
end

-- `moved` has the new lines of the entities by their places.
local function write_heads(heads, entities, moved, deleted, last)
	local fields = { LAST, last }
	for place = 2, #entities do
		local head = moved[place]
		if head then
			fields[#fields + 1] = entities[place]
			fields[#fields + 1] = deleted[place] and head .. ' d' or head
		end
	end
	redis.call('HSET', heads, unpack(fields))
end

-- Why a request is refused, and at which of its events; else nil, and true if it was appended before.
local function judge(args, first, last, n, entity_of, versions, deleted, known)
	if last > first then
		local why, at = check(args, first, last, n, entity_of, versions, deleted, known)
		return why, why and at or at > 0
	end
	local line = known[args[first + 1]]
	if line == VOID and args[first] ~= NEVER then
		return 'N', first
	elseif line then
		return nil, true
	end
	local place = entity_of[n]
	if place > 1 then
		if refused(args[first], versions[place], deleted[place], known) then
			return 'V', first
		end
		deleted[place] = args[first + 2] == 'entity_deleted'
	end
	return nil, false
end

local function append(keys, args)
	local call = redis.call
	local stream, heads, bucket = keys[1], keys[2], keys[3]
	local events, entities, entity_of = collect(args)
	local found = call('HMGET', heads, unpack(entities))
	if found[1] and string.byte(found[1]) == LOCKED then
		return locked(args, found[1])
	end
	local versions, deleted = read_heads(found, #entities)
	local new_bucket = call('EXISTS', bucket) == 0
	local known = look_up(keys, events, new_bucket)
	local ms, us = first_id(found[1] or last_given(stream), tonumber(args[2]), tonumber(args[3]))
	local millis = string.format('%d-', ms)
	local lines, recent, moved = {}, {}, {}
	local i, total, n = 4, #args, 1
	while i < total do
		local count = tonumber(args[i])
		local first = i + 1
		local last = first + (count - 1) * PER_EVENT
		local why, at = judge(args, first, last, n, entity_of, versions, deleted, known)
		if why then
			local place = entity_of[n + (at - first) / PER_EVENT]
			lines[#lines + 1] = '!' .. why .. ' ' .. (at - first) / PER_EVENT .. ' ' .. versions[place]
		elseif at then
			for e = first, last, PER_EVENT do
				lines[#lines + 1] = '=' .. known[args[e + 1]]
			end
		elseif args[first] == NEVER then
			lines[#lines + 1] = VOID
			known[args[first + 1]] = VOID
			recent[#recent + 1] = args[first + 1]
			recent[#recent + 1] = VOID
		else
			for e = first, last, PER_EVENT do
				local event_id, place, version = args[e + 1], entity_of[n + (e - first) / PER_EVENT], '0'
				if us > 999 then
					ms, us = ms + 1, 0
					millis = string.format('%d-', ms)
				end
				local id = millis .. digits[us]
				us = us + 1
				if place > 1 then
					local number = versions[place] + 1
					versions[place] = number
					version = decimal(number)
				end
				call('XADD', stream, id, 'event_id', event_id, 'event_action', args[e + 2],
				     'event_data', args[e + 3], 'event_type', args[e + 4], 'entity_id', args[e + 5],
				     'entity_version', version, 'metadata', args[e + 6])
				local line = version .. ' ' .. id
				moved[place] = line
				lines[#lines + 1] = line
				known[event_id] = line
				recent[#recent + 1] = event_id
				recent[#recent + 1] = line
			end
		end
		i, n = last + PER_EVENT, n + count
	end

	if #recent > 0 then
		call('HSET', bucket, unpack(recent))
		if new_bucket then
			call('EXPIRE', bucket, args[1])
		end
	end
	if next(moved) then
		write_heads(heads, entities, moved, deleted, millis .. digits[us - 1])
	end
	return table.concat(lines, '\n')
end

redis.register_function('eventstore_append', append)
