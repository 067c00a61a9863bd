obj.spec.controls = obj.spec.controls or {}
obj.spec.controls.paused = true
return obj
