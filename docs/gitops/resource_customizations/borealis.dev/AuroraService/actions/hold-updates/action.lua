obj.spec.update = obj.spec.update or {}
obj.spec.update.paused = true
return obj
