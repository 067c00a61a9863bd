-- Health of a Tier: whether it is acted upon. What is amiss beside that stands in the message.
{{template "guard.lua"}}
{{template "conditions.lua"}}
{{template "acted-upon.lua" (list "Outranked")}}