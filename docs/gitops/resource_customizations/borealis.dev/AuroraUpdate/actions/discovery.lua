-- What can be asked of an AuroraUpdate in its state; the API server refuses the rest.
local state = obj.status ~= nil and obj.status.state or "none"
local controls = obj.spec.controls or {}
local ended = {ROLLED_FORWARD = true, ROLLED_BACK = true, ABORTED = true, ERROR = true, FAILED = true}
local paused = {ROLL_FORWARD_PAUSED = true, ROLL_BACK_PAUSED = true}
local back = {ROLLING_BACK = true, ROLL_BACK_PAUSED = true, ROLL_BACK_AWAITING_PULSE = true}
local fails = {ROLLED_BACK = true, ABORTED = true, ERROR = true, FAILED = true}
local goes = state ~= "none" and not ended[state]
local asked = controls.paused == true

-- FAILED is taken back only on the way forward.
local can_roll_back = (goes and not back[state]) or state == "ROLLED_FORWARD"
  or (state == "FAILED" and (obj.status.failedBack or "") == "")
return {
  ["pause"] = {displayName = "Begin nothing new", disabled = not goes or asked},
  ["resume"] = {displayName = "Go on", disabled = not goes or not asked},
  ["next-group"] = {displayName = "Go on after the group", disabled = not paused[state] or asked},
  ["abort"] = {displayName = "Give it up, leave instances as they are", disabled = not goes or controls.abort ~= nil},
  ["rollback"] = {displayName = "Roll back", disabled = not can_roll_back or controls.rollback ~= nil},
  ["retry"] = {displayName = "Try the same config again", disabled = not fails[state] or controls.retry ~= nil},
}
