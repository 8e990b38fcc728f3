-- wrk's side of bench/mixes.py. Arguments: the mix, a seed, the warehouse, the hot product or the
-- ticket option, an Authorization header or nothing.
-- Requests are formatted once where they can be; the summary leaves as one line of JSON.

local threads = 0
local prepared = {}
local numbered, number = "", 0

function setup(thread)
  thread:set("thread_number", threads)
  threads = threads + 1
end

local authorization = nil

local function line(warehouse, product)
  return string.format('{"product":"%s","warehouse":"%s","quantity":1}', product, warehouse)
end

local function order(warehouse, product, key)
  local body = line(warehouse, product)
  local headers = { ["Content-Type"] = "application/json", ["Idempotency-Key"] = key,
    ["Authorization"] = authorization }
  return wrk.format("POST", "/orders", headers, body)
end

local function move(product, source, destination)
  local body = string.format('{"product":"%s","from":"from-%03d","to":"to-%03d","quantity":1}',
    product, source, destination)
  return wrk.format("POST", "/moves", { ["Content-Type"] = "application/json" }, body)
end

-- An order of three lines, each of another product: its place is drawn among those not taken yet.
local function lines_request(warehouse, products)
  local lines = {}
  for i = 0, products - 1 do lines[i] = line(warehouse, string.format("p%04d", i)) end
  local whole = wrk.format("POST", "/orders", { ["Content-Type"] = "application/json" },
    '{"lines":[' .. lines[0] .. "," .. lines[0] .. "," .. lines[0] .. "]}")
  local before = string.sub(whole, 1, string.find(whole, "[", 1, true))
  return function()
    local a = math.random(0, products - 1)
    local b = (a + math.random(1, products - 1)) % products
    local c = (a + math.random(1, products - 2)) % products
    if (c - a) % products >= (b - a) % products then c = (c + 1) % products end
    return before .. lines[a] .. "," .. lines[b] .. "," .. lines[c] .. "]}"
  end
end

function init(args)
  local mix, seed, warehouse, hot = args[1], args[2], args[3], args[4]
  authorization = args[5]
  math.randomseed(tonumber(seed) + thread_number)
  if mix == "spread" then
    for i = 0, 999 do prepared[i] = order(warehouse, string.format("p%04d", i)) end
    request = function() return prepared[math.random(0, 999)] end
  elseif mix == "keyed" then
    local whole = order(warehouse, hot, "KEY")
    local from, to = string.find(whole, "KEY", 1, true)
    local before, after = string.sub(whole, 1, from - 1), string.sub(whole, to + 1)
    numbered = string.format("%s-%d-", seed, thread_number)
    request = function()
      number = number + 1
      return before .. numbered .. number .. after
    end
  elseif mix == "tickets" then
    local body = '{"user_id":"406c1725-0ae2-45ab-8c8e-b2e5ea5e9b9c","quantity":1}'
    local headers = { ["Content-Type"] = "application/json" }
    local same = wrk.format("POST", "/ticket_options/" .. hot .. "/purchases", headers, body)
    request = function() return same end
  elseif mix == "moves" then
    request = function() return move(hot, math.random(0, 499), math.random(0, 499)) end
  elseif mix == "hot_moves" then
    local same = move(hot, 0, 0)
    request = function() return same end
  elseif mix == "lines" then
    request = lines_request(warehouse, 1000)
  elseif mix == "hot_lines" then
    request = lines_request(warehouse, 10)
  else
    local same = order(warehouse, hot)
    request = function() return same end
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"duration_us":%d,"bad_status":%d,"broken":%d,' ..
    '"p50_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
