-- A bot that reports what it has done and takes what is next in one call: `POST /exchange`.
dofile(os.getenv("BENCH_LUA") .. "/bot.lua")

local reports = {}

function request()
  local claim = enough() and "" or ',"claim":{"limit":' .. limit .. "}"
  return post("/api/v1/exchange", '{"completed":[' .. table.concat(reports, ",") .. "]" .. claim .. "}")
end

function response(status, _, body)
  answered()
  if status ~= 200 then return refused(status, body) end
  local ids = body:match('"accepted":%s*%[(.-)%]')
  local _, count = ids:gsub("%d+", "")
  accepted(count)
  if count ~= #reports then refused(status, body) end
  reports = {}
  if enough() then return finish() end
  local start = body:find('"jobs":', 1, true)
  claimed(leases(body, start, function(id, attempt)
    if lose > 0 and math.random(lose) == 1 then return end
    reports[#reports + 1] = '{"id":' .. id .. ',"attempt":' .. attempt .. "}"
  end))
end
