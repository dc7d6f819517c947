-- The bot of exchange.lua, which sends a turn again when it is answered with 503.
dofile(os.getenv("BENCH_LUA") .. "/exchange.lua")

local answer = response

function response(status, headers, body)
  if status ~= 503 then return answer(status, headers, body) end
  answered()
  unavailable = unavailable + 1
end
