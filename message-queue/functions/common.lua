-- What the functions of the queue share.
--
-- All take the keys of one queue, in this order (store.c knows their names):
--   pending      list of the ids that wait, oldest first; redelivered ones return to its head
--   messages     hash id -> record, of all that are not done
--   leases       hash id -> when the delivery returns (ms), of those in flight. Not sorted: a hash costs a
--                quarter of a zset here, and the sweep that looks for ended ones sees few entries
--   delayed      zset id -> when it is due (ms), of those that failed and wait to be tried again
--   attempts     hash id -> deliveries that failed; absent: 0
--   dead         hash id -> length of the reason, reason, record
--   done         hash id -> outcome, of the current ten minutes
--   done_before  the same, of the ten minutes before
local PENDING, MESSAGES, LEASES, DELAYED, ATTEMPTS, DEAD, DONE, DONE_BEFORE = 1, 2, 3, 4, 5, 6, 7, 8

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

local function reason_of(parked)
	local length, from = struct.unpack('>I4', parked)
	return string.sub(parked, from, from + length - 1)
end

-- Takes a message off the queue, wherever it is. False if it is not on it.
local function remove(keys, id)
	if redis.call('HDEL', keys[MESSAGES], id) == 0 then
		return false
	end
	if redis.call('HDEL', keys[LEASES], id) == 0 and redis.call('ZREM', keys[DELAYED], id) == 0 then
		redis.call('LREM', keys[PENDING], 1, id)
	end
	redis.call('HDEL', keys[ATTEMPTS], id)
	return true
end

local function keep_outcome(keys, id, outcome, keep_s)
	redis.call('HSET', keys[DONE], id, outcome)
	redis.call('EXPIRE', keys[DONE], keep_s, 'NX')
end

-- Ends a delivery that failed: parks the message after max_attempts, else returns it after delay_ms.
-- True if parked. The caller has taken the id out of the leases.
local function give_back(keys, id, now, delay_ms, max_attempts, reason)
	local failed = redis.call('HINCRBY', keys[ATTEMPTS], id, 1)
	if failed >= max_attempts then
		local record = redis.call('HGET', keys[MESSAGES], id) or ''
		redis.call('HSET', keys[DEAD], id, struct.pack('>I4', #reason) .. reason .. record)
		redis.call('HDEL', keys[MESSAGES], id)
		redis.call('HDEL', keys[ATTEMPTS], id)
		return true
	end
	if delay_ms > 0 then
		redis.call('ZADD', keys[DELAYED], now + delay_ms, id)
	else
		redis.call('LPUSH', keys[PENDING], id)
	end
	return false
end

-- Moves messages from pending to in flight, up to the counts of the runs {count, lease_ms, ...}.
-- A flat list: id, record, attempt, ... in the order of the runs.
local function reserve(keys, now, runs)
	local given = {}
	for r = 1, #runs, 2 do
		local ids = redis.call('LPOP', keys[PENDING], runs[r])
		if not ids or #ids == 0 then
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
				given[#given + 1] = (failed and tonumber(failed[i]) or 0) + 1
			end
		end
		if #leases > 0 then
			redis.call('HSET', keys[LEASES], unpack(leases))
		end
	end
	return given
end
