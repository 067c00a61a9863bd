-- Health of an AuroraService: as kstatus has it, but Suspended where a person holds it.
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

-- Stalled goes first: what was rolled back runs, and is still not what Git asks for.
if holds("Stalled") then
  return say("Degraded", "Stalled")
end
local held = {UpdatePaused = true, UpdateHeld = true, Frozen = true}
if conditions.Ready ~= nil and held[conditions.Ready.reason] then
  return say("Suspended", "Ready")
end
if holds("Reconciling") or not holds("Ready") then
  -- Where instances have no place, that says more than their number.
  if conditions.Placed ~= nil and conditions.Placed.status == "False" then
    return say("Progressing", "Placed")
  end
  return say("Progressing", "Ready")
end
return say("Healthy", "Ready")
