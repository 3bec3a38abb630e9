-- The registry of topics: a stream, so that whoever waits for new events hears of new topics too. One entry
-- for each: its name; behind it, if it came with a history, "imported" and the first and last id of that.
--
-- KEYS 1 the registry

-- Puts a topic into the registry, once.
-- ARGV 1 the topic
-- Returns 1 if it is new, else 0.
local function register_topic(keys, args)
	for _, entry in ipairs(redis.call('XRANGE', keys[1], '-', '+')) do
		if entry[2][2] == args[1] then
			return 0
		end
	end
	redis.call('XADD', keys[1], '*', 'topic', args[1])
	return 1
end

-- Puts topics into the registry anew, with the history that each has now; not again those that are there with it:
-- their readers know.
-- ARGV pairs of topic and "<first id> <last id>"
-- Returns "".
local function topics_imported(keys, args)
	local ids, known = {}, {}
	for _, entry in ipairs(redis.call('XRANGE', keys[1], '-', '+')) do
		ids[entry[2][2]] = entry[1]
		known[entry[2][2]] = entry[2][4]
	end
	for i = 1, #args, 2 do
		if known[args[i]] ~= args[i + 1] then
			if ids[args[i]] then
				redis.call('XDEL', keys[1], ids[args[i]])
			end
			redis.call('XADD', keys[1], '*', 'topic', args[i], 'imported', args[i + 1])
		end
	end
	return ''
end

redis.register_function('eventstore_topic', register_topic)
redis.register_function('eventstore_topics_imported', topics_imported)
