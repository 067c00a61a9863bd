-- Health of an AuroraUpdate. It is the record of one update: what ended otherwise than it was meant to is Degraded.
if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "It is being deleted"}
end
-- What has no status yet is not done: the operator has still to look at it.
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The operator has not yet looked at generation " .. tostring(obj.metadata.generation)}
end

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
