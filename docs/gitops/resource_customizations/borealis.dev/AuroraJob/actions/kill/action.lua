obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["borealis.dev/kill"] = "Asked"
return obj
