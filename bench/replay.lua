-- wrk: sends ready-made requests from a file, at random or, if each may be sent only once, one after the other.
--   wrk ... -s replay.lua URL -- FILE SEED random|once
-- The file holds, for each request, its length in bytes on a line, then the request and a line feed.
-- The last line of the output is JSON.

local requests = {}
local is_once = false
local sent = 0
local threads = 0

-- Called for each thread, before any of them has begun.
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(arguments)
  math.randomseed(tonumber(arguments[2]) + number)
  is_once = arguments[3] == "once"
  local file = assert(io.open(arguments[1], "rb"))
  local length = file:read("*n")
  while length do
    file:read(1)
    requests[#requests + 1] = file:read(length)
    length = file:read("*n")
  end
end

function request()
  if not is_once then
    return requests[math.random(#requests)]
  end
  sent = sent + 1
  -- Beyond the last one: the caller sees more answers than requests and refuses the measurement.
  return requests[math.min(sent, #requests)]
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  if failed > 0 then
    io.stderr:write(string.format("connect %d, read %d, write %d, timeout %d, status %d\n",
      errors.connect, errors.read, errors.write, errors.timeout, errors.status))
  end
  io.write(string.format(
    '\n{"requests": %d, "seconds": %f, "failed": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests, summary.duration / 1e6, failed,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
