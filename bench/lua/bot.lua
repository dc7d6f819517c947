-- What the bots of the bench share. One thread of wrk is one connection is one bot with a token of its own.
-- A bot calls again as soon as it is answered, or after a pause, until it has found nothing to do for some calls in a
-- row. What it did is counted from the answers; the harness counts the rows in the database as well.

local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds; long nanoseconds; } bench_time; int clock_gettime(int clock, bench_time *time);")
local moment = ffi.new("bench_time")

--- Seconds by the monotonic clock, which all threads and the harness share.
function now()
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
end

-- One job in so many is lost: never reported. 0: none is.
lose = tonumber(os.getenv("BENCH_LOSE"))

-- Where it is there, wrk asks it before each call.
local pause = tonumber(os.getenv("BENCH_PAUSE"))
if pause > 0 then
  --- Milliseconds until the next call, half as many to one and a half times as many: bots do not call in step.
  function delay() return pause * (0.5 + math.random()) end
end

local threads = {}
local tokens = {}

function setup(thread)
  if #tokens == 0 then
    for token in os.getenv("BENCH_TOKENS"):gmatch("%S+") do table.insert(tokens, token) end
  end
  table.insert(threads, thread)
  thread:set("token", tokens[#threads])
end

function init()
  limit = tonumber(os.getenv("BENCH_LIMIT"))
  patience = tonumber(os.getenv("BENCH_PATIENCE"))
  quota = tonumber(os.getenv("BENCH_JOBS"))
  tracing = os.getenv("BENCH_TRACE") ~= ""
  headers = { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json" }
  first, last, jobs, claims, calls, wrong, unavailable, empty, ended = 0, 0, 0, 0, 0, 0, 0, 0, 0
  sizes = {} -- answers by their number of jobs
  seconds = {} -- jobs by the second in which they were accepted
  complaint = ""
  sent, at, took = 0, {}, {} -- when the call under way was sent; every call, when traced
end

function post(path, body)
  if first == 0 then first = now() end
  calls = calls + 1
  sent = now()
  return wrk.format("POST", path, headers, body)
end

--- A call has been answered.
function answered()
  if tracing then at[#at + 1], took[#took + 1] = sent, now() - sent end
end

--- `count` jobs were accepted just now.
function accepted(count)
  if count == 0 then return end
  jobs, last = jobs + count, now()
  local second = math.floor(last - first) + 1
  for i = #seconds + 1, second do seconds[i] = 0 end
  seconds[second] = seconds[second] + count
end

function refused(status, body)
  wrong = wrong + 1
  if complaint == "" then complaint = status .. " " .. body:sub(1, 500) end
  if wrong >= 20 then finish() end
end

function finish()
  if ended == 0 then
    ended = 1
    io.write("finished\n")
    io.flush()
    wrk.thread:stop()
  end
end

--- A claim was answered with `count` jobs.
function claimed(count)
  claims = claims + count
  sizes[tostring(count)] = (sizes[tostring(count)] or 0) + 1
  if count > 0 then empty = 0 else empty = empty + 1 end
  if empty >= patience then finish() end
end

--- Whether this bot has claimed all it is to do.
function enough()
  return claims >= quota
end

--- Each id and attempt of the jobs in an answer, from `start` on.
function leases(body, start, each)
  local from, count = start, 0
  while true do
    local _, stop, id, attempt = body:find('"id":%s*(%d+).-"attempt":%s*(%d+)', from)
    if not stop then return count end
    each(id, attempt)
    count, from = count + 1, stop
  end
end

function done(summary, latency)
  for _, thread in ipairs(threads) do
    io.write(string.format(
      "bot %.6f %.6f %d %d %d\n",
      thread:get("first"), thread:get("last"), thread:get("jobs"), thread:get("calls"), thread:get("wrong")
    ))
    for size, count in pairs(thread:get("sizes")) do io.write(string.format("size %s %d\n", size, count)) end
    for second, count in ipairs(thread:get("seconds")) do io.write(string.format("second %d %d\n", second, count)) end
    local took = thread:get("took")
    for call, at in ipairs(thread:get("at")) do io.write(string.format("call %.6f %.6f\n", at, took[call])) end
    io.write(string.format("unavailable %d\n", thread:get("unavailable")))
    if thread:get("complaint") ~= "" then io.write("complaint " .. thread:get("complaint"):gsub("\n", " ") .. "\n") end
  end
  for _, share in ipairs({ 50, 90, 95, 99, 99.9 }) do
    io.write(string.format("latency %g %.6f\n", share, latency:percentile(share) / 1e6))
  end
  io.write(string.format("latency 100 %.6f\n", latency.max / 1e6))
  io.write(string.format("network %d %d\n", summary.errors.connect, summary.errors.read + summary.errors.write + summary.errors.timeout))
end
