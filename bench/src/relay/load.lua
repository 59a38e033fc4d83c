-- What wrk sends: one body from a file, with a number of its own in each request where the file says @@.
-- Arguments: the file, a word that no other run has, and how long a connection waits before each request, in ms.

local before, after, path, word, pause
local count = 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local body = file:read("*a")
  file:close()
  local first, last = body:find("@@", 1, true)
  before, after = body:sub(1, first - 1), body:sub(last + 1)
  word, pause, path = args[2], tonumber(args[3]), wrk.path
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  count = count + 1
  return wrk.format("POST", path, wrk.headers, before .. word .. count .. after)
end

-- The moments differ, or all connections would come at once.
function delay()
  return pause * 2 * math.random()
end
