-- What the functions of the queue share.
--
-- All take the keys of one queue, in this order (store.c knows their names):
--   pending      list of the ids that wait, oldest first; redelivered ones return to its head
--   high, low    the same, of messages of these priorities. Served before and after `pending`
--   messages     hash id -> record, of all that are not done
--   leases       hash id -> when the delivery returns (ms), of those in flight. Not sorted: a hash costs a
--                quarter of a zset here, and the sweep that looks for ended ones sees few entries
--   delayed      zset id -> when it is due (ms), of those that wait for their time
--   attempts     hash id -> deliveries that failed, and 1000 times the priority (1: high, 2: low);
--                absent: 0. So an ordinary message has no field here, and its end removes none
--   dead         hash id -> number in the hash of attempts, length of the reason, reason, record
--   parked       zset id -> when it became dead (microseconds, no two alike): pages of `dead`
--   done         hash id -> outcome, of the current ten minutes
--   done_before  the same, of the ten minutes before
local PENDING, HIGH, LOW, MESSAGES, LEASES, DELAYED, ATTEMPTS, DEAD = 1, 2, 3, 4, 5, 6, 7, 8
local PARKED, DONE, DONE_BEFORE = 9, 10, 11

-- The list of each priority, and all in the order of serving.
local LANE_OF = { [0] = PENDING, HIGH, LOW }
local LANES, ONE_LANE = { HIGH, PENDING, LOW }, { PENDING }
local PRIORITY_STEP = 1000

-- An outcome that is still owed: taken off the queue by a client of the original interface, which
-- acknowledges first and responds later.
local ACKED = 'A'

local function now_ms()
	local time = redis.call('TIME')
	return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function outcome_of(keys, id)
	return redis.call('HGET', keys[DONE], id) or redis.call('HGET', keys[DONE_BEFORE], id)
end

-- The same of many: a list with false where there is none.
local function outcomes_of(keys, ids)
	local outcomes = redis.call('HMGET', keys[DONE], unpack(ids))
	if redis.call('EXISTS', keys[DONE_BEFORE]) == 1 then
		for i, before in ipairs(redis.call('HMGET', keys[DONE_BEFORE], unpack(ids))) do
			outcomes[i] = outcomes[i] or before
		end
	end
	return outcomes
end

-- The number in the hash of attempts, the reason, and where in `parked` the record begins.
local function read_parked(parked)
	if #parked < 8 then
		return 0, 'its entry in Redis is damaged', #parked + 1
	end
	local noted, length, from = struct.unpack('>I4I4', parked)
	return noted, string.sub(parked, from, from + length - 1), from + length
end

local function reason_of(parked)
	local _, reason = read_parked(parked)
	return reason
end

-- What the hash of attempts says: how many failed, and the list that the message waits in.
local function failed_and_lane(noted)
	local number = tonumber(noted) or 0
	return number % PRIORITY_STEP, LANE_OF[math.floor(number / PRIORITY_STEP)] or PENDING
end

local function lane_of(keys, id)
	local _, lane = failed_and_lane(redis.call('HGET', keys[ATTEMPTS], id))
	return keys[lane]
end

-- How many could be delivered now.
local function waiting(keys)
	return redis.call('LLEN', keys[PENDING]) + redis.call('LLEN', keys[HIGH]) + redis.call('LLEN', keys[LOW])
end

-- Takes a message off the queue, wherever it is. False if it is not on it.
local function remove(keys, id)
	if redis.call('HDEL', keys[MESSAGES], id) == 0 then
		return false
	end
	if redis.call('HDEL', keys[LEASES], id) == 0 and redis.call('ZREM', keys[DELAYED], id) == 0 then
		redis.call('LREM', lane_of(keys, id), 1, id)
	end
	redis.call('HDEL', keys[ATTEMPTS], id)
	return true
end

-- `fields`: id, outcome, ...
local function keep_outcomes(keys, fields, keep_s)
	if #fields > 0 then
		redis.call('HSET', keys[DONE], unpack(fields))
		redis.call('EXPIRE', keys[DONE], keep_s, 'NX')
	end
end

local function park(keys, id, now, noted, reason)
	local record = redis.call('HGET', keys[MESSAGES], id) or ''
	local last = redis.call('ZRANGE', keys[PARKED], -1, -1, 'WITHSCORES')[2] or 0
	redis.call('ZADD', keys[PARKED], math.max(now * 1000, last + 1), id)
	redis.call('HSET', keys[DEAD], id, struct.pack('>I4I4', noted, #reason) .. reason .. record)
	redis.call('HDEL', keys[MESSAGES], id)
	redis.call('HDEL', keys[ATTEMPTS], id)
end

-- Ends a delivery that failed: parks the message after max_attempts, else returns it after delay_ms, or
-- with no delay adds it to `heads`. True if parked. The caller has taken the id out of the leases, and
-- calls return_heads when all are through.
local function give_back(keys, id, now, delay_ms, max_attempts, reason, heads)
	local noted = redis.call('HINCRBY', keys[ATTEMPTS], id, 1)
	local failed, lane = failed_and_lane(noted)
	if failed >= max_attempts then
		park(keys, id, now, noted, reason)
		return true
	end
	if delay_ms > 0 then
		redis.call('ZADD', keys[DELAYED], now + delay_ms, id)
	else
		heads[#heads + 1] = { lane = lane, id = id }
	end
	return false
end

-- To the head of their lists, the oldest in front.
local function return_heads(keys, heads)
	for i = #heads, 1, -1 do
		redis.call('LPUSH', keys[heads[i].lane], heads[i].id)
	end
end

-- The ids that are served next, at most `count`; nil: nothing waits.
local function take(keys, lanes, count)
	local taken
	for _, lane in ipairs(lanes) do
		local ids = redis.call('LPOP', keys[lane], count)
		if ids and #ids > 0 then
			count = count - #ids
			if taken then
				for _, id in ipairs(ids) do
					taken[#taken + 1] = id
				end
			else
				taken = ids
			end
		end
		if count == 0 then
			break
		end
	end
	return taken
end

-- Moves messages from waiting to in flight, up to the counts of the runs {count, lease_ms, ...}.
-- A flat list: id, record, attempt, ... in the order of the runs.
local function reserve(keys, now, runs)
	local given = {}
	local lanes = redis.call('EXISTS', keys[HIGH], keys[LOW]) > 0 and LANES or ONE_LANE
	for r = 1, #runs, 2 do
		local ids = take(keys, lanes, runs[r])
		if not ids then
			break
		end
		local records = redis.call('HMGET', keys[MESSAGES], unpack(ids))
		local failed = redis.call('EXISTS', keys[ATTEMPTS]) == 1
			and redis.call('HMGET', keys[ATTEMPTS], unpack(ids))
		local leases = {}
		for i, id in ipairs(ids) do
			if records[i] then
				leases[#leases + 1] = id
				leases[#leases + 1] = now + runs[r + 1]
				given[#given + 1] = id
				given[#given + 1] = records[i]
				given[#given + 1] = (failed and failed_and_lane(failed[i]) or 0) + 1
			end
		end
		if #leases > 0 then
			redis.call('HSET', keys[LEASES], unpack(leases))
		end
	end
	return given
end
