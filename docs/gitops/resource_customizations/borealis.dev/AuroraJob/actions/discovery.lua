-- What can be asked of an AuroraJob that has not ended.
local phase = obj.status ~= nil and obj.status.phase or ""
local over = {Ending = true, Complete = true, Failed = true}
local killed = obj.metadata.annotations ~= nil and obj.metadata.annotations["borealis.dev/kill"] ~= nil
local suspended = obj.spec.suspend == true
return {
  ["suspend"] = {displayName = "End what runs, without a failure", disabled = over[phase] == true or suspended},
  ["resume"] = {displayName = "Go on", disabled = over[phase] == true or not suspended},
  ["kill"] = {displayName = "End it for good", disabled = over[phase] == true or killed},
}
