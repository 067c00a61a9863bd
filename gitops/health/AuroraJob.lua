-- Health of an AuroraJob: as kstatus has it, but Suspended where a person holds it.
{{template "guard.lua"}}
{{template "conditions.lua"}}
if holds("Stalled") then
  return say("Degraded", "Stalled")
end
local held = {Suspended = true, Frozen = true}
if conditions.Ready ~= nil and held[conditions.Ready.reason] then
  return say("Suspended", "Ready")
end
if holds("Reconciling") or not holds("Ready") then
  if conditions.Placed ~= nil and conditions.Placed.status == "False" then
    return say("Progressing", "Placed")
  end
  return say("Progressing", "Ready")
end
return say("Healthy", "Ready")
