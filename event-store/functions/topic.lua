-- Puts a topic into the registry, once.
--
-- KEYS 1 the registry: a stream, so that whoever waits for new events hears of new topics too
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

redis.register_function('eventstore_topic', register_topic)
