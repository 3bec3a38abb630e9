-- Applies the writes of a run of events and moves the checkpoint, all or nothing.
--
-- KEYS  1 the checkpoint; all other keys are "<prefix>..." with the prefix's hash tag
-- ARGV  1 prefix, 2 and 3 the checkpoint that the run follows (entry id, topic), 4 and 5 the one
--       that it ends at, 6 number of events, 7 number of kinds; then
--       of each kind: topic, number of fields, their names, number of indices, and of each index:
--           position of its field (from 1), type (V value, O value of an order's id, F flag), set;
--       of each write one of
--           N<kind> id version created value...  there is none yet
--           K<kind> id version created value...  one that is there keeps its creation
--           D<kind> id version created value...  one that is there goes, and this is another
--               each with "+" behind <kind>: one more value, for the field _more
--           R<kind> id                           removed
--           M entry_id event_id json             a mail
--       <kind> being its number among the kinds, from 1
--
-- Returns "OK"; or, when the checkpoint is another, that one {entry id, topic}: then nothing
-- was written. Each entity occurs in at most one write.
local CHUNK = 2000

local function collect(sets, key, a, b)
	local list = sets[key]
	if not list then
		list = {}
		sets[key] = list
		sets[#sets + 1] = key
	end
	list[#list + 1] = a
	if b then list[#list + 1] = b end
end

-- The same, to fill a list from elsewhere.
local function collect_into(sets, key, list)
	sets[key] = list
	sets[#sets + 1] = key
end

local function send(command, sets)
	for i = 1, #sets do
		local list = sets[sets[i]]
		for from = 1, #list, CHUNK do
			redis.call(command, sets[i], unpack(list, from, math.min(from + CHUNK - 1, #list)))
		end
	end
end

-- The set of which an entity with this value is a member, or nil.
local function set_of(prefix, index, value)
	if not value or value == '' then return nil end
	if index.type ~= 'F' then return prefix .. index.set .. value end
	if value == '0' then return nil end
	return prefix .. index.set
end

local function read_kind(args, at, prefix)
	local name, count = args[at], tonumber(args[at + 1])
	local kind = { name = name, count = count, indices = {}, ids = prefix .. name .. '_ids',
		entity = prefix .. name .. '_entity:' }
	-- the commands of this kind, filled in again for each entity
	local put, get = { '', '_version', '' }, { '', '_version', '_more' }
	for i = 1, count do
		local field = args[at + 1 + i]
		put[2 + 2 * i] = field
		if name == 'order' and field == 'status' then kind.status = i end
	end
	at = at + 2 + count
	for i = 1, tonumber(args[at]) do
		local base = at + 3 * (i - 1)
		local position = tonumber(args[base + 1])
		kind.indices[i] = { position = position, type = args[base + 2], set = args[base + 3] }
		get[3 + i] = put[2 + 2 * position]
	end
	kind.put, kind.get = put, get
	return kind, at + 1 + 3 * #kind.indices
end

local function touch(run, order_id)
	if not run.touched[order_id] then
		run.touched[order_id] = true
		run.touched[#run.touched + 1] = order_id
	end
end

-- `again`: it is another entity than before, with another place in the lists.
local function move(run, index, id, score, old, new, again)
	local from, to = set_of(run.prefix, index, old), set_of(run.prefix, index, new)
	if from == to and not again then return false end
	if from then collect(run.rems, from, id) end
	if to then collect(run.adds, to, score, id) end
	if index.type == 'O' then
		if from then touch(run, old) end
		if to then touch(run, new) end
	end
	return true
end

-- Most of a backlog: nothing to compare with.
local function put_new(run, op, args, at)
	local kind, id, score = op.kind, args[at], args[at + 2]
	local command, count, values = kind.put, kind.count, at + 2
	command[1], command[3] = kind.entity .. id, args[at + 1]
	for i = 1, count do
		command[3 + 2 * i] = args[values + i]
	end
	local size = 3 + 2 * count
	local next = values + count + 1
	if op.more then
		command[size + 1], command[size + 2] = '_more', args[next]
		size, next = size + 2, next + 1
	end
	redis.call('HSET', unpack(command, 1, size))
	local ids = kind.added
	local last = #ids
	ids[last + 1], ids[last + 2] = score, id
	for i = 1, #kind.indices do
		local index = kind.indices[i]
		move(run, index, id, score, nil, args[values + index.position])
	end
	if kind.status then
		run.orders[id] = { args[values + kind.status], score }
		touch(run, id)
	end
	return next
end

local function moves(kind, old, args, values)
	for i = 1, #kind.indices do
		if old[2 + i] ~= args[values + kind.indices[i].position] then return true end
	end
	return false
end

local function put(run, op, args, at)
	local kind, id, score = op.kind, args[at], args[at + 2]
	local values, key = at + 2, kind.entity .. id
	kind.get[1] = key
	local old = redis.call('HMGET', unpack(kind.get))
	if not old[1] then return put_new(run, op, args, at) end
	local again = op.before == 'D'
	local moved = again
	if again then
		collect(run.adds, kind.ids, score, id)
	elseif moves(kind, old, args, values) then
		score = redis.call('ZSCORE', kind.ids, id)
	end
	for i = 1, #kind.indices do
		local index = kind.indices[i]
		local value = args[values + index.position]
		if move(run, index, id, score, old[2 + i], value, again) then moved = true end
	end
	if kind.status then
		-- the creation is known only when it was needed: settle_orders may have to ask for it
		run.orders[id] = { args[values + kind.status], moved and score }
		if moved then touch(run, id) end
	end
	local command, size = kind.put, 3 + 2 * kind.count
	command[1], command[3] = key, args[at + 1]
	for i = 1, kind.count do
		command[3 + 2 * i] = args[values + i]
	end
	local next = values + kind.count + 1
	if op.more then
		command[size + 1], command[size + 2] = '_more', args[next]
		size, next = size + 2, next + 1
	elseif old[2] then
		redis.call('HDEL', key, '_more')
	end
	redis.call('HSET', unpack(command, 1, size))
	return next
end

local function remove(run, kind, id)
	local key = kind.entity .. id
	kind.get[1] = key
	local old = redis.call('HMGET', unpack(kind.get))
	if not old[1] then return end
	for i = 1, #kind.indices do
		move(run, kind.indices[i], id, nil, old[2 + i], nil)
	end
	collect(run.rems, kind.ids, id)
	redis.call('DEL', key)
	if kind.status then
		run.orders[id] = { false }
		touch(run, id)
	end
end

-- Orders that are neither cancelled nor billed (shipped), judged by the billings (shippings) there
-- are: so they change with the billing's event and not with what the order makes of it later.
local function settle_orders(run)
	local prefix, adds, rems = run.prefix, {}, {}
	local unbilled, unshipped = prefix .. 'unbilled_order_ids', prefix .. 'unshipped_order_ids'
	for i = 1, #run.touched do
		local id = run.touched[i]
		local order = run.orders[id]
		if not order then order = { redis.call('HGET', prefix .. 'order_entity:' .. id, 'status') } end
		if order[1] and not order[2] then
			order[2] = redis.call('ZSCORE', prefix .. 'order_ids', id)
		end
		local billings, shippings = prefix .. 'order_billings:' .. id,
			prefix .. 'order_shippings:' .. id
		local billed, shipped = true, true
		if order[1] and order[1] ~= 'CANCELLED' then
			local found = redis.call('EXISTS', billings, shippings)
			billed = found == 2 or (found == 1 and redis.call('EXISTS', billings) == 1)
			shipped = found == 2 or (found == 1 and not billed)
		end
		if billed then collect(rems, unbilled, id) else collect(adds, unbilled, order[2], id) end
		if shipped then collect(rems, unshipped, id) else collect(adds, unshipped, order[2], id) end
	end
	send('ZREM', rems)
	send('ZADD', adds)
end

redis.register_function('readmodel_apply', function(keys, args)
	local prefix = args[1]
	local here = redis.call('HMGET', keys[1], 'entry_id', 'topic')
	if (here[1] or '') ~= args[2] or (here[2] or '') ~= args[3] then
		return { here[1] or '', here[2] or '' }
	end
	local run = { prefix = prefix, adds = {}, rems = {}, touched = {}, orders = {} }
	local ops, at = { M = { mail = true } }, 8
	for i = 1, tonumber(args[7]) do
		local kind
		kind, at = read_kind(args, at, prefix)
		kind.added = {}
		collect_into(run.adds, kind.ids, kind.added)
		for _, before in ipairs({ 'N', 'K', 'D' }) do
			ops[before .. i] = { kind = kind, before = before }
			ops[before .. i .. '+'] = { kind = kind, before = before, more = true }
		end
		ops['R' .. i] = { kind = kind, remove = true }
	end
	while args[at] do
		local op = ops[args[at]]
		if op.before == 'N' then
			at = put_new(run, op, args, at + 1)
		elseif op.before then
			at = put(run, op, args, at + 1)
		elseif op.remove then
			remove(run, op.kind, args[at + 1])
			at = at + 2
		else
			redis.call('XADD', prefix .. 'mails', args[at + 1], 'event_id', args[at + 2], 'json', args[at + 3])
			at = at + 4
		end
	end
	send('ZREM', run.rems)
	send('ZADD', run.adds)
	settle_orders(run)
	redis.call('HSET', keys[1], 'entry_id', args[4], 'topic', args[5])
	redis.call('HINCRBY', keys[1], 'events', args[6])
	return 'OK'
end)
