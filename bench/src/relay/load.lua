-- What wrk sends: bodies from a file, one on each line and in turn, with a number of its own in each request where the
-- body says @@.
-- Arguments: the file, a word that no other run has, and how long a connection waits before each request, in ms.

local bodies, path, word, pause = {}
local count = 0

function init(args)
  for body in io.lines(args[1]) do
    local first, last = body:find("@@", 1, true)
    bodies[#bodies + 1] = { body:sub(1, first - 1), body:sub(last + 1) }
  end
  word, pause, path = args[2], tonumber(args[3]), wrk.path
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  count = count + 1
  local body = bodies[count % #bodies + 1]
  return wrk.format("POST", path, wrk.headers, body[1] .. word .. count .. body[2])
end

-- The moments differ, or all connections would come at once.
function delay()
  return pause * 2 * math.random()
end
