-- Which generation of the model answers, and which are being built or deleted.
--
-- KEYS  1 model:live, a hash:
--           generation, version            the one that answers; the version of code that wrote it
--           building, building_version     the one that is being built beside it
--           builder, builder_seen          the process that builds it, "<name>#<its life>", and when it said
--                                          so last, in seconds: nobody else writes to that generation
--           highest                        the number used last
--           drop:<generation>              to be deleted
--           moment:<generation>            the model as of a moment of the past: the process that keeps it
--           alive:<process>                when a process that keeps any said so last, in seconds
--
-- readmodel_begin     ARGV 1 version, 2 a number that was used, 3 the process. Returns the generation that it
--                     builds from now on, always a new one; what it was building before is to be deleted,
--                     and so is what another process built that has not been seen for SEEN_S, or was an earlier
--                     life of this one. Returns -<generation> if another process is building that one. Processes
--                     of a former version give no ARGV 3.
-- readmodel_seen      ARGV 1 generation, 2 the process: it lives and builds. Returns 1. Returns 0 when that has
--                     been taken from it: whatever it wrote in the meantime is to be deleted again.
-- readmodel_go_live   ARGV 1 generation, 2 version. The one that is being built answers from now on, and
--                     what answered before is to be deleted. Returns "OK", also when it had happened;
--                     refuses, with the generation that is being built or 0, when it is another one.
-- readmodel_moment    ARGV 1 a number that was used, 2 the process. Returns the generation that it may fill with the
--                     model as of a moment, and keeps.
-- readmodel_alive     ARGV 1 the process, 2 "1" if it keeps any moments, 3... which, if it knows: one whose answer was
--                     lost is not named. Those of this process that are not among these, of processes that have not
--                     been seen for SEEN_S, and of earlier lives of this one, are to be deleted. Returns their number.
-- readmodel_forget    ARGV 1 generation: a moment that is to be deleted. Returns "OK".
-- readmodel_dropped   ARGV 1 generation: nothing is left of it. Returns "OK".
local SEEN_S = 5

local function now()
	return tonumber(redis.call('TIME')[1])
end

local function name_of(process)
	return string.match(process, '^(.*)#') or process
end

redis.register_function('readmodel_begin', function(keys, args)
	local here = redis.call('HMGET', keys[1], 'building', 'building_version', 'highest', 'builder', 'builder_seen')
	local process = args[3] or ''
	if here[1] then
		local alive = here[4] and name_of(here[4]) ~= name_of(process) and now() - tonumber(here[5]) <= SEEN_S
		if alive and here[2] == args[1] then return -tonumber(here[1]) end
		redis.call('HSET', keys[1], 'drop:' .. here[1], 1)
	end
	local number = math.max(tonumber(here[3] or 0), tonumber(args[2])) + 1
	redis.call('HSET', keys[1], 'building', number, 'building_version', args[1], 'highest', number,
		'builder', process, 'builder_seen', now())
	return number
end)

redis.register_function('readmodel_seen', function(keys, args)
	local here = redis.call('HMGET', keys[1], 'building', 'builder', 'generation')
	if here[1] == args[1] and here[2] == args[2] then
		redis.call('HSET', keys[1], 'builder_seen', now())
		return 1
	end
	if here[3] == args[1] then return 1 end
	redis.call('HSET', keys[1], 'drop:' .. args[1], 1)
	return 0
end)

redis.register_function('readmodel_go_live', function(keys, args)
	local here = redis.call('HMGET', keys[1], 'generation', 'building')
	if here[1] == args[1] then return 'OK' end
	if here[2] ~= args[1] then return tonumber(here[2] or 0) end
	redis.call('HDEL', keys[1], 'building', 'building_version', 'builder', 'builder_seen')
	redis.call('HSET', keys[1], 'generation', args[1], 'version', args[2])
	if here[1] then redis.call('HSET', keys[1], 'drop:' .. here[1], 1) end
	return 'OK'
end)

redis.register_function('readmodel_moment', function(keys, args)
	local highest = tonumber(redis.call('HGET', keys[1], 'highest') or 0)
	local number = math.max(highest, tonumber(args[1])) + 1
	redis.call('HSET', keys[1], 'highest', number, 'moment:' .. number, args[2], 'alive:' .. args[2], now())
	return number
end)

local function forget(key, generation)
	redis.call('HDEL', key, 'moment:' .. generation)
	redis.call('HSET', key, 'drop:' .. generation, 1)
end

redis.register_function('readmodel_alive', function(keys, args)
	local all, moments, seen = redis.call('HGETALL', keys[1]), {}, {}
	for i = 1, #all, 2 do
		local kind, rest = string.match(all[i], '^(%a+):(.*)$')
		if kind == 'moment' then moments[rest] = all[i + 1] end
		if kind == 'alive' then seen[rest] = tonumber(all[i + 1]) end
	end
	local time, forgotten = now(), 0
	for process, at in pairs(seen) do
		local former = process ~= args[1] and name_of(process) == name_of(args[1])
		if former or time - at > SEEN_S or (process == args[1] and args[2] ~= '1') then
			redis.call('HDEL', keys[1], 'alive:' .. process)
			seen[process] = nil
		end
	end
	if args[2] == '1' then
		redis.call('HSET', keys[1], 'alive:' .. args[1], time)
		seen[args[1]] = time
	end
	local kept = {}
	for i = 3, #args do kept[args[i]] = true end
	for generation, process in pairs(moments) do
		if not seen[process] or (process == args[1] and #args > 2 and not kept[generation]) then
			forget(keys[1], generation)
			forgotten = forgotten + 1
		end
	end
	return forgotten
end)

redis.register_function('readmodel_forget', function(keys, args)
	forget(keys[1], args[1])
	return 'OK'
end)

redis.register_function('readmodel_dropped', function(keys, args)
	redis.call('HDEL', keys[1], 'drop:' .. args[1])
	return 'OK'
end)
