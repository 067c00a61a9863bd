-- Health of a Framework: whether it is acted upon. What is amiss beside that stands in the message.
if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "It is being deleted"}
end
-- What has no status yet is not done: the operator has still to look at it.
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The operator has not yet looked at generation " .. tostring(obj.metadata.generation)}
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end
local function holds(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end
local function say(status, kind)
  local condition = conditions[kind] or {}
  local message = condition.reason or "It says nothing of its condition " .. kind
  if condition.message ~= nil and condition.message ~= "" then
    message = message .. ": " .. condition.message
  end
  return {status = status, message = message}
end

if holds("Stalled") then
  return say("Degraded", "Stalled")
end
if not holds("Ready") then
  return say("Progressing", "Ready")
end
local health = say("Healthy", "Ready")
for _, kind in ipairs({"Overlap"}) do
  if holds(kind) then
    health.message = health.message .. "; " .. say("", kind).message
  end
end
return health
