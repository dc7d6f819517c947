-- A bot that makes a call for each thing: `POST /claim`, then `POST /jobs/{id}/complete` for each job.
dofile(os.getenv("BENCH_LUA") .. "/bot.lua")

local held = {}

function request()
  local lease = held[#held]
  if lease then return post("/api/v1/jobs/" .. lease[1] .. "/complete", '{"attempt":' .. lease[2] .. "}") end
  return post("/api/v1/claim", '{"limit":' .. limit .. "}")
end

function response(status, _, body)
  answered()
  if status ~= 200 then return refused(status, body) end
  if #held > 0 then
    held[#held] = nil
    accepted(1)
    if enough() and #held == 0 then finish() end
    return
  end
  claimed(leases(body, 1, function(id, attempt) held[#held + 1] = { id, attempt } end))
end
