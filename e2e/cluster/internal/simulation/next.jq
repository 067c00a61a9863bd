# What a simulated kubelet does next with a pod, and in how many seconds:
# {what, in}, or nothing. Each stage acts on one value of what. All depends on
# what the object says, so that a restarted simulator goes on where it was.
(.metadata.annotations // {}) as $annotations
| def option($name): $annotations["sim.borealis.dev/" + $name];
  def seconds($name): option($name) | if . == null then null else tonumber end;
  def condition($type): [.status.conditions[]? | select(.type == $type) | .status][0];
  # Kubernetes' times have no fractions: the second that was cut off is added, so
  # that a pod never acts earlier than it was told.
  def after($time; $seconds): if $seconds == null then empty else $time + 1 + $seconds end;
  now as $now
| (.metadata.deletionGracePeriodSeconds // .spec.terminationGracePeriodSeconds // 30) as $grace
| ([seconds("stop-seconds") // 0, $grace] | min) as $stop
| (if $stop > 0 then $stop + 1 else 0 end) as $stop
| if .metadata.deletionTimestamp != null then
    if .status.phase == "Running" then
      {what: "stop", at: ((.metadata.deletionTimestamp | fromdate) - $grace + $stop)}
    elif $grace > 0 then
      {what: "remove", at: 0}
    else
      empty # only finalizers keep it, and those are for others to remove
    end
  elif .status.phase == "Pending" then
    {what: "start", at: 0}
  elif .status.phase == "Running" then
    (.status.startTime | fromdate) as $started
    | (seconds("start-seconds") // 0) as $start
    | condition("ContainersReady") as $containers
    | ([.spec.readinessGates[]?.conditionType] - [.status.conditions[]? | select(.status == "True") | .type] | length == 0) as $gates
    | [
        (if .status.containerStatuses[0].started == false and option("never-ready") != "true"
         then after($started; $start) as $at | {at: $at, what: "ready"} else empty end),
        # The node controller says not ready for all pods of a lost node. The kubelet, once back, corrects that.
        (if $containers == "True" and condition("Ready") == "False" and $gates then {at: 0, what: "reready"} else empty end),
        (if $containers == "True"
         then after($started + $start; seconds("unready-after-seconds")) as $at | {at: $at, what: "unready"} else empty end),
        (after($started; seconds("fail-after-seconds")) as $at | {at: $at, what: "fail"}),
        (after($started; seconds("exit-after-seconds")) as $at | {at: $at, what: "exit"}),
        (if .spec.activeDeadlineSeconds != null
         then {at: ([$started + .spec.activeDeadlineSeconds, $now + 1] | max + $stop), what: "deadline"} else empty end)
      ]
    | if length == 0 then empty else min_by(.at) end
  else
    empty
  end
| {what, in: (((.at - $now) * 1000 | ceil) as $ms | "\([$ms, 0] | max)ms")}
