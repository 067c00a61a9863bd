-- Health of an AuroraService: as kstatus has it, but Suspended where a person holds it.
{{template "guard.lua"}}
{{template "conditions.lua"}}
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
