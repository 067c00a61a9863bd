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
  return say("Progressing", "Ready")
end
local health = say(conditions.Ready.reason == "Suspended" and "Suspended" or "Healthy", "Ready")
if obj.status.lastOutcome ~= nil then
  health.message = health.message .. "; last run: " .. obj.status.lastOutcome
end
return health
