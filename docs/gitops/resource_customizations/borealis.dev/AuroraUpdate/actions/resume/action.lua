obj.spec.controls = obj.spec.controls or {}
obj.spec.controls.paused = false
return obj
