-- What can be asked of an AuroraService. Pause, abort and rollback are asked of its AuroraUpdate.
local held = obj.spec.update ~= nil and obj.spec.update.paused == true
return {
  ["restart"] = {displayName = "Restart all instances, by the update settings"},
  ["hold-updates"] = {displayName = "Let no new update begin", disabled = held},
  ["release-updates"] = {displayName = "Let updates begin again", disabled = not held},
}
