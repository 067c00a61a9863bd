if holds("Stalled") then
  return say("Degraded", "Stalled")
end
if not holds("Ready") then
  return say("Progressing", "Ready")
end
local health = say("Healthy", "Ready")
for _, kind in ipairs({ {{- range $nth, $kind := .}}{{if $nth}}, {{end}}"{{$kind}}"{{end -}} }) do
  if holds(kind) then
    health.message = health.message .. "; " .. say("", kind).message
  end
end
return health
