-- Health of an AuroraCron: whether it is acted upon. How its runs end is theirs, and stands here only in words.
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
if holds("Reconciling") then
  local frozen = conditions.Reconciling.reason == "Frozen"
  return say(frozen and "Suspended" or "Progressing", "Reconciling")
end
if not holds("Ready") then
  return say("Progressing", "Ready")
end
local health = say(conditions.Ready.reason == "Suspended" and "Suspended" or "Healthy", "Ready")
if obj.status.lastOutcome ~= nil then
  health.message = health.message .. "; last run: " .. obj.status.lastOutcome
end
return health
