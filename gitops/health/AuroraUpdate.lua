-- Health of an AuroraUpdate. It is the record of one update: what ended otherwise than it was meant to is Degraded.
{{template "guard.lua"}}
local update = obj.status
local health = {message = tostring(update.state)}
if update.message ~= nil and update.message ~= "" then
  health.message = health.message .. ": " .. update.message
end
if update.refused ~= nil then
  health.message = health.message .. "; " .. update.refused
end

local paused = {ROLL_FORWARD_PAUSED = true, ROLL_BACK_PAUSED = true}
local amiss = {ROLLED_BACK = true, ABORTED = true, ERROR = true, FAILED = true}
if paused[update.state] then
  health.status = "Suspended"
elseif update.state == "ROLLED_FORWARD" then
  health.status = "Healthy"
elseif update.state == "ROLLED_BACK" and obj.spec.instructions.takesBack ~= nil then
  -- It was made to go back.
  health.status = "Healthy"
elseif amiss[update.state] then
  health.status = "Degraded"
else
  health.status = "Progressing"
end
return health
