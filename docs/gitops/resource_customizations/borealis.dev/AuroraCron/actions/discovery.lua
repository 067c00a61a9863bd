-- What can be asked of an AuroraCron. A run can be asked for also while it is suspended.
local suspended = obj.spec.suspend == true
return {
  ["run-now"] = {displayName = "Run once now"},
  ["suspend"] = {displayName = "Start no more runs", disabled = suspended},
  ["resume"] = {displayName = "Start runs again", disabled = not suspended},
}
