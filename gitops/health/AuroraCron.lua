-- Health of an AuroraCron: whether it is acted upon. How its runs end is theirs, and stands here only in words.
{{template "guard.lua"}}
{{template "conditions.lua"}}
if holds("Stalled") then
  return say("Degraded", "Stalled")
end
if holds("Reconciling") then
  local frozen = conditions.Reconciling.reason == "Frozen"
  return say(frozen and "Suspended" or "Progressing", "Reconciling")
end
if not holds("Ready") then
  local suspended = conditions.Ready ~= nil and conditions.Ready.reason == "Suspended"
  return say(suspended and "Suspended" or "Progressing", "Ready")
end
local health = say("Healthy", "Ready")
if obj.status.lastOutcome ~= nil then
  health.message = health.message .. "; last run: " .. obj.status.lastOutcome
end
return health
