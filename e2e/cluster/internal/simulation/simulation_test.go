// What simulated pods do and say, by KWOK's own evaluation of the stages.

package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/kwok/pkg/utils/expression"
	"sigs.k8s.io/kwok/pkg/utils/gotpl"
	"sigs.k8s.io/yaml"
)

type object = map[string]any

// stage is the part of a Stage document that is looked at here.
type stage struct {
	Metadata struct{ Name string }
	Spec     struct {
		ResourceRef struct{ Kind string }
		Selector    struct {
			MatchExpressions []struct {
				Key      string
				Operator string
				Values   []string
			}
		}
		Delay struct {
			DurationFrom struct{ ExpressionFrom string }
		}
		Steps []struct {
			Delete bool
			Patch  struct{ Template string }
		}
	}
}

func stages(t *testing.T) []stage {
	t.Helper()
	documents, err := Stages()
	if err != nil {
		t.Fatal(err)
	}
	var all []stage
	for name, document := range documents {
		var s stage
		if err := yaml.Unmarshal([]byte(document), &s); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, document)
		}
		all = append(all, s)
	}
	return all
}

func query(t *testing.T, program string, pod object) any {
	t.Helper()
	q, err := expression.NewQuery(program)
	if err != nil {
		t.Fatal(err)
	}
	// Through JSON, so that the numbers are what KWOK gives.
	data, _ := json.Marshal(pod)
	var plain any
	_ = json.Unmarshal(data, &plain)
	out, err := q.Execute(context.Background(), plain)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		return nil
	}
	return out[0]
}

// match returns the one stage that acts on a pod next and after how long.
func match(t *testing.T, pod object) (*stage, time.Duration) {
	t.Helper()
	var found *stage
	for _, s := range stages(t) {
		if s.Spec.ResourceRef.Kind != "Pod" {
			continue
		}
		e := s.Spec.Selector.MatchExpressions[0]
		if answer := query(t, e.Key, pod); answer != nil && e.Values[0] == answer {
			if found != nil {
				t.Fatalf("%s and %s both match", found.Metadata.Name, s.Metadata.Name)
			}
			found = &s
		}
	}
	if found == nil {
		return nil, 0
	}
	delay, err := time.ParseDuration(fmt.Sprint(query(t, found.Spec.Delay.DurationFrom.ExpressionFrom, pod)))
	if err != nil {
		t.Fatal(err)
	}
	return found, delay
}

func ago(seconds int) string {
	return time.Now().Add(-time.Duration(seconds) * time.Second).UTC().Format(time.RFC3339)
}

// running is a pod that started so many seconds ago.
func running(seconds int, ready bool, annotations object, spec object) object {
	status := fmt.Sprintf("%v", map[bool]string{true: "True", false: "False"}[ready])
	if spec == nil {
		spec = object{}
	}
	spec["nodeName"] = "sim-0"
	spec["containers"] = []object{{"name": "a", "image": "x"}, {"name": "b", "image": "y"}}
	return object{
		"metadata": object{"name": "p", "namespace": "d", "uid": "u-1", "resourceVersion": "7", "annotations": annotations},
		"spec":     spec,
		"status": object{
			"phase": "Running", "startTime": ago(seconds),
			"conditions":        []object{{"type": "Ready", "status": status}, {"type": "ContainersReady", "status": status}},
			"containerStatuses": []object{{"name": "a", "started": ready}, {"name": "b", "started": ready}},
		},
	}
}

func deleting(pod object, asked, grace int) object {
	metadata := pod["metadata"].(object)
	metadata["deletionTimestamp"] = ago(asked - grace)
	metadata["deletionGracePeriodSeconds"] = grace
	return pod
}

func a(pairs ...string) object {
	annotations := object{}
	for i := 0; i < len(pairs); i += 2 {
		annotations["sim.borealis.dev/"+pairs[i]] = pairs[i+1]
	}
	return annotations
}

func phase(pod object, phase string) object {
	pod["status"].(object)["phase"] = phase
	return pod
}

func TestWhatAPodDoesNext(t *testing.T) {
	unreadyByOthers := running(50, true, nil, nil)
	unreadyByOthers["status"].(object)["conditions"].([]object)[0]["status"] = "False"
	gated := running(50, true, nil, object{"readinessGates": []object{{"conditionType": "gate"}}})
	gated["status"].(object)["conditions"].([]object)[0]["status"] = "False"
	wasReady := running(50, true, a("start-seconds", "2", "unready-after-seconds", "3"), nil)
	wasReady["status"].(object)["conditions"].([]object)[1]["status"] = "False"
	for name, c := range map[string]struct {
		pod  object
		want string // the stage, or empty
		in   int    // seconds, to the nearest
	}{
		"pending":                       {phase(running(0, false, nil, nil), "Pending"), "pod-start", 0},
		"nothing to do":                 {running(50, true, nil, nil), "", 0},
		"slow start":                    {running(2, false, a("start-seconds", "5"), nil), "pod-ready", 4},
		"slow start is over":            {running(9, false, a("start-seconds", "5"), nil), "pod-ready", 0},
		"never ready":                   {running(9, false, a("start-seconds", "5", "never-ready", "true"), nil), "", 0},
		"never ready can fail":          {running(9, false, a("never-ready", "true", "fail-after-seconds", "20"), nil), "pod-fail", 12},
		"fails":                         {running(2, true, a("fail-after-seconds", "3"), nil), "pod-fail", 2},
		"exits":                         {running(2, true, a("exit-after-seconds", "3"), nil), "pod-exit", 2},
		"the earlier one counts":        {running(0, true, a("exit-after-seconds", "9", "fail-after-seconds", "8"), nil), "pod-fail", 9},
		"unready after being ready":     {running(2, true, a("start-seconds", "2", "unready-after-seconds", "3"), nil), "pod-unready", 4},
		"unready only once":             {wasReady, "", 0},
		"called not ready by others":    {unreadyByOthers, "pod-reready", 0},
		"a gate is closed":              {gated, "", 0},
		"deadline ahead":                {running(2, true, nil, object{"activeDeadlineSeconds": 60}), "pod-deadline", 58},
		"deadline set long after start": {running(500, true, nil, object{"activeDeadlineSeconds": 1}), "pod-deadline", 1},
		"deadline and slow stop": {running(500, true, a("stop-seconds", "4"),
			object{"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 30}), "pod-deadline", 6},
		"deleted":                          {deleting(running(50, true, nil, nil), 0, 30), "pod-stop", 0},
		"deleted, stops slowly":            {deleting(running(50, true, a("stop-seconds", "5"), nil), 2, 30), "pod-stop", 4},
		"deleted, grace is shorter":        {deleting(running(50, true, a("stop-seconds", "50"), nil), 0, 3), "pod-stop", 4},
		"deleted, has stopped":             {deleting(phase(running(50, false, nil, nil), "Succeeded"), 9, 30), "pod-remove", 0},
		"deleted before it started":        {deleting(phase(running(0, false, nil, nil), "Pending"), 9, 30), "pod-remove", 0},
		"held by a finalizer only":         {deleting(phase(running(50, false, nil, nil), "Failed"), 9, 0), "", 0},
		"ended pods stay as they are":      {phase(running(50, true, a("fail-after-seconds", "1"), nil), "Failed"), "", 0},
		"a word where a number belongs":    {running(50, true, a("fail-after-seconds", "soon"), nil), "", 0},
		"deletion comes before all others": {deleting(running(50, true, a("fail-after-seconds", "1"), nil), 0, 30), "pod-stop", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, in := match(t, c.pod)
			if got == nil {
				if c.want != "" {
					t.Errorf("nothing, want %s", c.want)
				}
				return
			}
			if got.Metadata.Name != c.want {
				t.Fatalf("%s, want %q", got.Metadata.Name, c.want)
			}
			if want := time.Duration(c.in) * time.Second; in < want-1500*time.Millisecond || in > want+100*time.Millisecond {
				t.Errorf("in %v, want %v", in, want)
			}
		})
	}
}

// fill renders what a stage writes, as KWOK does.
func fill(t *testing.T, name string, pod object, lost error) (object, error) {
	t.Helper()
	renderer := gotpl.NewRenderer(gotpl.FuncMap{
		"OnlyUp":     func(string) (string, error) { return "", lost },
		"NodeIPWith": func(string) string { return "10.64.0.9" },
		"PodIPWith":  func(string, bool, string, string, string) string { return "10.128.0.9" },
	})
	for _, s := range stages(t) {
		if s.Metadata.Name != name {
			continue
		}
		data, err := renderer.ToJSON(s.Spec.Steps[0].Patch.Template, pod)
		if err != nil {
			return nil, err
		}
		var patch object
		if err := json.Unmarshal(data, &patch); err != nil {
			t.Fatal(err)
		}
		return patch, nil
	}
	t.Fatalf("there is no stage %s", name)
	return nil, nil
}

func condition(patch object, kind string) any {
	for _, c := range patch["status"].(object)["conditions"].([]any) {
		if c.(object)["type"] == kind {
			return c.(object)["status"]
		}
	}
	return nil
}

func container(patch object, i int) object {
	return patch["status"].(object)["containerStatuses"].([]any)[i].(object)
}

func TestWhatTheStagesWrite(t *testing.T) {
	for name, c := range map[string]struct {
		pod         object
		stage       string
		phase       any
		ready, code any
		reason      any
	}{
		"start":       {phase(running(0, false, nil, nil), "Pending"), "pod-start", "Running", "True", nil, nil},
		"slow start":  {phase(running(0, false, a("start-seconds", "5"), nil), "Pending"), "pod-start", "Running", "False", nil, nil},
		"never":       {phase(running(0, false, a("never-ready", "true"), nil), "Pending"), "pod-start", "Running", "False", nil, nil},
		"ready":       {running(9, false, nil, nil), "pod-ready", nil, "True", nil, nil},
		"unready":     {running(9, true, nil, nil), "pod-unready", nil, "False", nil, nil},
		"fail":        {running(9, true, nil, nil), "pod-fail", "Failed", "False", 1.0, "Error"},
		"out of room": {running(9, true, a("exit-code", "137", "fail-reason", "OOMKilled"), nil), "pod-fail", "Failed", "False", 137.0, "OOMKilled"},
		"exit":        {running(9, true, nil, nil), "pod-exit", "Succeeded", "False", 0.0, "Completed"},
		"deadline":    {running(9, true, nil, nil), "pod-deadline", "Failed", "False", 143.0, "Error"},
		"stop":        {running(9, true, nil, nil), "pod-stop", "Succeeded", "False", 0.0, "Completed"},
		"stop badly":  {running(9, true, a("stop-exit-code", "9"), nil), "pod-stop", "Failed", "False", 9.0, "Error"},
	} {
		t.Run(name, func(t *testing.T) {
			patch, err := fill(t, c.stage, c.pod, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := patch["metadata"].(object)["resourceVersion"]; got != "7" {
				t.Errorf("it would overwrite a pod that has changed: version %v", got)
			}
			if got := patch["status"].(object)["phase"]; got != c.phase {
				t.Errorf("phase %v, want %v", got, c.phase)
			}
			if got := condition(patch, "Ready"); got != c.ready {
				t.Errorf("Ready is %v, want %v", got, c.ready)
			}
			for i := range 2 {
				state := container(patch, i)["state"].(object)
				if ended, ok := state["terminated"].(object); ok {
					if ended["exitCode"] != c.code || ended["reason"] != c.reason || ended["finishedAt"] == "" {
						t.Errorf("container %d ended so: %v", i, ended)
					}
				} else if c.code != nil || state["running"] == nil {
					t.Errorf("container %d is in the state %v", i, state)
				}
				if got := container(patch, i)["ready"]; got != (c.ready == "True") {
					t.Errorf("container %d: ready is %v", i, got)
				}
			}
		})
	}
	patch, err := fill(t, "pod-deadline", running(9, true, nil, nil), nil)
	if err != nil || patch["status"].(object)["reason"] != "DeadlineExceeded" {
		t.Errorf("the reason is missing: %v, %v", patch, err)
	}
}

func TestNothingIsWrittenForAPodOfALostNode(t *testing.T) {
	lost := errors.New("lost")
	for _, s := range stages(t) {
		if s.Spec.ResourceRef.Kind != "Pod" || s.Spec.Steps[0].Delete {
			continue
		}
		if _, err := fill(t, s.Metadata.Name, running(9, true, nil, nil), lost); !errors.Is(err, lost) {
			t.Errorf("%s: %v", s.Metadata.Name, err)
		}
	}
}

func TestNodesAreSpreadOverZonesAndHaveAddressesOfTheirOwn(t *testing.T) {
	addresses, inZone := map[string]bool{}, map[any]int{}
	for i := range 600 {
		node := Node(i, 110)
		inZone[node["metadata"].(object)["labels"].(object)["topology.kubernetes.io/zone"]]++
		address := node["status"].(object)["addresses"].([]object)[0]["address"].(string)
		if addresses[address] || strings.HasSuffix(address, ".256") {
			t.Errorf("node %d: address %s", i, address)
		}
		addresses[address] = true
	}
	if len(inZone) != 3 || inZone["zone-a"] != 200 {
		t.Errorf("zones %v", inZone)
	}
}
