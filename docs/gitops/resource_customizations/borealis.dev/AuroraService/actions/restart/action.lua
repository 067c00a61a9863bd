-- An update makes every Pod anew that was made before now.
obj.spec.update = obj.spec.update or {}
obj.spec.update.restartAt = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
