-- Appends many requests to one topic. Each request is atomic for itself: all of its events or none.
--
-- KEYS  1 the topic's stream, 2 the heads of its entities, 3 the dedupe bucket to write,
--       4.. further dedupe buckets to look into
-- ARGV  1 life of a bucket in seconds, 2 and 3 the lowest id that may be given (ms, us), then for
--       each request: number of events, and for each event: expected version (* any, ! none,
--       + exists, or the number), event_id, event_action, event_data, event_type, entity_id, metadata
--
-- Returns one text, lines in the order of the requests. A request that was appended or had been:
-- a line "<entry id> <version>" for each event, with "=" before it if it had been. One that was
-- refused: a single line "!<why> <index of the event> <current version of its entity>", why being
-- V (version), M (some event ids are known and some are not), D (one event id twice).
--
-- A head is "<version> <entry id>", with " d" after it if the last event deleted the entity.
-- Nothing is written before everything that could raise an error has been read.
local PER_EVENT = 7

-- The first id to give: now, or just past the last one.
local function first_id(stream, floor_ms, floor_us)
	local find, sub = string.find, string.sub
	local now = redis.call('TIME')
	local micros = tonumber(now[2])
	local ms, us = now[1] * 1000 + math.floor(micros / 1000), micros % 1000
	if floor_ms > ms or (floor_ms == ms and floor_us > us) then
		ms, us = floor_ms, floor_us
	end
	local info = redis.pcall('XINFO', 'STREAM', stream)
	if info.err then
		if find(info.err, 'no such key', 1, true) then
			return ms, us
		end
		error(info)
	end
	for i = 1, #info, 2 do
		if info[i] == 'last-generated-id' then
			local last = info[i + 1]
			local dash = find(last, '-', 1, true)
			local last_ms, last_us = tonumber(sub(last, 1, dash - 1)), tonumber(sub(last, dash + 1))
			if last_ms > ms or (last_ms == ms and last_us >= us) then
				ms, us = last_ms, last_us + 1
			end
			break
		end
	end
	return ms, us
end

local function refused(expect, version, deleted)
	if expect == '*' then
		return false
	elseif expect == '!' then
		return version > 0 and not deleted
	elseif expect == '+' then
		return version == 0 or deleted
	end
	return version ~= tonumber(expect)
end

local function collect(args)
	local events, entities, seen = {}, {}, {}
	local i, total = 4, #args
	while i < total do
		local count = tonumber(args[i])
		i = i + 1
		for _ = 1, count do
			events[#events + 1] = args[i + 1]
			local entity = args[i + 5]
			if entity ~= '' and not seen[entity] then
				seen[entity] = true
				entities[#entities + 1] = entity
			end
			i = i + PER_EVENT
		end
	end
	return events, entities
end

local function append(keys, args)
	local call, find, sub, format = redis.call, string.find, string.sub, string.format
	local stream, heads, bucket = keys[1], keys[2], keys[3]
	local events, entities = collect(args)
	local versions, deleted, known = {}, {}, {}
	if #entities > 0 then
		local found = call('HMGET', heads, unpack(entities))
		for i = 1, #entities do
			local entity, head = entities[i], found[i]
			if head then
				versions[entity] = tonumber(sub(head, 1, find(head, ' ', 1, true) - 1))
				deleted[entity] = sub(head, -1) == 'd'
			else
				versions[entity], deleted[entity] = 0, false
			end
		end
	end
	local new_bucket = true
	for k = 3, #keys do
		if call('EXISTS', keys[k]) == 1 then
			new_bucket = new_bucket and k ~= 3
			local found = call('HMGET', keys[k], unpack(events))
			for i = 1, #events do
				if found[i] then
					known[events[i]] = found[i]
				end
			end
		end
	end

	local ms, us = first_id(stream, tonumber(args[2]), tonumber(args[3]))
	local lines, recent, places = {}, {}, {}
	local i, total = 4, #args
	while i < total do
		local count = tonumber(args[i])
		local first = i + 1
		local last = first + (count - 1) * PER_EVENT
		i = last + PER_EVENT
		-- Check all, keeping what a refusal has to put back.
		local old, why, at, repeats = {}, nil, 0, 0
		for e = first, last, PER_EVENT do
			if known[args[e + 1]] then
				repeats = repeats + 1
			end
		end
		if repeats > 0 and repeats < count then
			why, at = 'M', first
		elseif repeats == 0 then
			local mine = {}
			for e = first, last, PER_EVENT do
				local entity = args[e + 5]
				if mine[args[e + 1]] then
					why, at = 'D', e
					break
				end
				mine[args[e + 1]] = true
				if entity ~= '' then
					local version = versions[entity]
					if refused(args[e], version, deleted[entity]) then
						why, at = 'V', e
						break
					end
					if count > 1 then
						old[#old + 1] = { entity, version, deleted[entity] }
					end
					versions[entity] = version + 1
					deleted[entity] = args[e + 2] == 'entity_deleted'
				end
			end
		end
		if why then
			lines[#lines + 1] = '!' .. why .. ' ' .. (at - first) / PER_EVENT .. ' ' ..
			                    (versions[args[at + 5]] or 0)
			for k = #old, 1, -1 do
				versions[old[k][1]], deleted[old[k][1]] = old[k][2], old[k][3]
			end
		elseif repeats > 0 then
			for e = first, last, PER_EVENT do
				lines[#lines + 1] = '=' .. known[args[e + 1]]
			end
		else
			-- Several events of one entity: count its versions again from the first.
			for k = #old, 1, -1 do
				versions[old[k][1]] = old[k][2]
			end
			for e = first, last, PER_EVENT do
				local event_id, entity, version = args[e + 1], args[e + 5], 0
				if us > 999 then
					ms, us = ms + 1, 0
				end
				local id = format('%d-%d', ms, us)
				us = us + 1
				if entity ~= '' then
					version = versions[entity]
					if count > 1 then
						version = version + 1
						versions[entity] = version
					end
					places[entity] = id
				end
				version = format('%d', version)
				call('XADD', stream, id, 'event_id', event_id, 'event_action', args[e + 2],
				     'event_data', args[e + 3], 'event_type', args[e + 4], 'entity_id', entity,
				     'entity_version', version, 'metadata', args[e + 6])
				local line = id .. ' ' .. version
				lines[#lines + 1] = line
				known[event_id] = line
				recent[#recent + 1] = event_id
				recent[#recent + 1] = line
			end
		end
	end

	if #recent > 0 then
		call('HSET', bucket, unpack(recent))
		if new_bucket then
			call('EXPIRE', bucket, args[1])
		end
		local moved = {}
		for entity, id in pairs(places) do
			moved[#moved + 1] = entity
			moved[#moved + 1] = format('%d ', versions[entity]) .. id ..
			                    (deleted[entity] and ' d' or '')
		end
		if #moved > 0 then
			call('HSET', heads, unpack(moved))
		end
	end
	return table.concat(lines, '\n')
end

redis.register_function('eventstore_append', append)
