obj.spec.controls = obj.spec.controls or {}
obj.spec.controls.abort = {reason = "asked for in Argo CD"}
return obj
