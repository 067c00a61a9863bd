-- An update that pauses after each group was let go on after all groups before this one.
obj.spec.controls = obj.spec.controls or {}
obj.spec.controls.resumeAfterBatch = (obj.spec.controls.resumeAfterBatch or 0) + 1
return obj
