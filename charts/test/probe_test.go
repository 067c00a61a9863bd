package charts

import (
	"reflect"
	"strings"
	"testing"
)

// hooks are the objects of `helm test`, by their kinds.
func hooks(t *testing.T, values string) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for name, text := range render(t, parse(t, values)) {
		if !strings.HasPrefix(name, "templates/tests/") {
			continue
		}
		for _, object := range objects(t, text) {
			notes := at(t, object, "metadata", "annotations").(map[string]any)
			if notes["helm.sh/hook"] != "test" || notes["helm.sh/hook-delete-policy"] != "before-hook-creation,hook-succeeded" {
				t.Errorf("%v would be there without a test: %v", object["kind"], notes)
			}
			if at(t, object, "metadata", "name") != "borealis-test" {
				t.Errorf("%v may be another's", at(t, object, "metadata", "name"))
			}
			kind := object["kind"].(string)
			if out[kind] != nil {
				t.Errorf("there are two hooks of kind %s", kind)
			}
			out[kind] = object
		}
	}
	return out
}

// What it may do is compared with what it does by a test of the program, which reads the golden file.
func TestTheTestsPodComesAfterItsAccountAndRights(t *testing.T) {
	all := hooks(t, "{}")
	weights := map[string]string{
		"ServiceAccount": "-2", "ClusterRole": "-2", "Role": "-2", "NetworkPolicy": "-2",
		"ClusterRoleBinding": "-1", "RoleBinding": "-1", "Pod": "0",
	}
	if len(all) != len(weights) {
		t.Errorf("%d kinds of hooks, not %d", len(all), len(weights))
	}
	for kind, want := range weights {
		if got := at(t, all[kind], "metadata", "annotations", "helm.sh/hook-weight"); got != want {
			t.Errorf("%s: its weight is %v, not %s", kind, got, want)
		}
	}
	pod := at(t, all["Pod"], "spec").(map[string]any)
	if pod["serviceAccountName"] != "borealis-test" || pod["automountServiceAccountToken"] != nil {
		t.Errorf("the Pod has not the token of its account: %v", pod)
	}
	for _, kind := range []string{"ClusterRoleBinding", "RoleBinding"} {
		subjects := at(t, all[kind], "subjects").([]any)
		if len(subjects) != 1 || at(t, subjects[0], "name") != "borealis-test" || at(t, all[kind], "roleRef", "name") != "borealis-test" {
			t.Errorf("%s: %v", kind, all[kind])
		}
	}
}

func TestTheTestAsksForWhatTheValuesSay(t *testing.T) {
	all := hooks(t, "{lease: {name: other}, tiers: {preferred: null, gold: {preemptible: true, band: 5}}}")
	args := at(t, all["Pod"], "spec", "containers", 0, "args").([]any)
	want := []any{"probe", "--namespace=borealis-system", "--lease-name=other", "--tiers=gold,preemptible,revocable", "--timeout-seconds=60"}
	if !reflect.DeepEqual(args, want) {
		t.Errorf("%v", args)
	}
	if got := at(t, all["Role"], "rules", 0, "resourceNames"); !reflect.DeepEqual(got, []any{"other"}) {
		t.Errorf("it may read the Leases %v", got)
	}
}

// Where a namespace lets nothing out, the test reaches what the operator may reach; the operator's own policy is not about it.
func TestTheTestReachesTheAPIServerUnderANetworkPolicy(t *testing.T) {
	const restricted = "networkPolicy: {egress: {restricted: true, rules: [{ports: [{port: 6443}]}]}}"
	for values, egress := range map[string]any{
		"{}":       []any{map[string]any{}},
		restricted: parse(t, restricted)["networkPolicy"].(map[string]any)["egress"].(map[string]any)["rules"],
	} {
		all := hooks(t, values)
		spec := at(t, all["NetworkPolicy"], "spec").(map[string]any)
		if !same(spec["egress"], egress) || spec["ingress"] != nil {
			t.Errorf("%s: %v", values, spec)
		}
		selector := at(t, spec, "podSelector", "matchLabels")
		labels := at(t, all["Pod"], "metadata", "labels")
		if !reflect.DeepEqual(selector, labels) {
			t.Errorf("%s: it is about Pods with %v, and the test's has %v", values, selector, labels)
		}
		operators := find(t, objects(t, render(t, parse(t, values))["templates/40-operator.yaml"]), "NetworkPolicy", "borealis")
		if reflect.DeepEqual(at(t, operators, "spec", "podSelector", "matchLabels"), labels) {
			t.Errorf("%s: the operator's policy is about the test's Pod as well", values)
		}
	}
	if hooks(t, "networkPolicy: {enabled: false}")["NetworkPolicy"] != nil {
		t.Error("there is a policy though none is asked for")
	}
}
