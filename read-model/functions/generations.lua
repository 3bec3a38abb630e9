-- Which generation of the model answers, and which are being built or deleted.
--
-- KEYS  1 model:live, a hash:
--           generation, version            the one that answers; the version of code that wrote it
--           building, building_version     the one that is being built beside it
--           highest                        the number used last
--           drop:<generation>              to be deleted
--
-- readmodel_begin     ARGV 1 version, 2 a number that was used. Returns the generation to build: the one
--                     that is being built already, or a new one. One that another version was building
--                     is to be deleted.
-- readmodel_go_live   ARGV 1 generation, 2 version. The one that is being built answers from now on, and
--                     what answered before is to be deleted. Returns "OK", also when it had happened;
--                     refuses, with the generation that is being built or 0, when it is another one.
-- readmodel_dropped   ARGV 1 generation: nothing is left of it. Returns "OK".
redis.register_function('readmodel_begin', function(keys, args)
	local here = redis.call('HMGET', keys[1], 'building', 'building_version', 'highest')
	if here[1] then
		if here[2] == args[1] then return tonumber(here[1]) end
		redis.call('HSET', keys[1], 'drop:' .. here[1], 1)
	end
	local number = math.max(tonumber(here[3] or 0), tonumber(args[2])) + 1
	redis.call('HSET', keys[1], 'building', number, 'building_version', args[1], 'highest', number)
	return number
end)

redis.register_function('readmodel_go_live', function(keys, args)
	local here = redis.call('HMGET', keys[1], 'generation', 'building')
	if here[1] == args[1] then return 'OK' end
	if here[2] ~= args[1] then return tonumber(here[2] or 0) end
	redis.call('HDEL', keys[1], 'building', 'building_version')
	redis.call('HSET', keys[1], 'generation', args[1], 'version', args[2])
	if here[1] then redis.call('HSET', keys[1], 'drop:' .. here[1], 1) end
	return 'OK'
end)

redis.register_function('readmodel_dropped', function(keys, args)
	redis.call('HDEL', keys[1], 'drop:' .. args[1])
	return 'OK'
end)
