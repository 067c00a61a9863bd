package charts

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// The alert of the common mixin for Pods that don't get ready, in the form it has: Pods in a phase that is not good, by
// what owns them, those of Jobs left out.
const notReady = `sum by (namespace, pod) (
	max by (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Unknown|Failed"})
	* on (namespace, pod) group_left (owner_kind)
	topk by (namespace, pod) (1, max by (namespace, pod, owner_kind) (kube_pod_owner{owner_kind!="Job"}))
) > 0`

// What the documentation adds to that alert keeps it for Pods that are waited for, and for those of others.
func TestKeptPodsAreNoPodsThatAreNotReady(t *testing.T) {
	var added string
	for line := range strings.Lines(read(t, "docs", "operations.md")) {
		if strings.HasPrefix(line, "unless on (namespace, pod)") {
			added = strings.TrimSpace(line)
		}
	}
	if added == "" {
		t.Fatal("docs/operations.md tells of no exclusion")
	}
	pod := func(phase, owner, labels string) []string {
		of := `namespace="a", pod="b"`
		return []string{
			`kube_pod_status_phase{` + of + `, phase="` + phase + `"} 1x60`,
			`kube_pod_owner{` + of + `, owner_kind="` + owner + `"} 1x60`,
			`kube_pod_labels{` + of + labels + `} 1x60`,
		}
	}
	const instance = `, label_borealis_dev_instance="3"`
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, 1_000_000)
	for _, about := range []struct {
		what    string
		series  []string
		without bool
		with    bool
	}{
		{"a kept Pod", pod("Failed", "AuroraService", instance), true, false},
		{"a live Pod that waits", pod("Pending", "AuroraService", instance+`, label_borealis_dev_live="true"`), true, true},
		{"a Pod of others", pod("Failed", "ReplicaSet", ""), true, true},
		{"a live Pod that runs", pod("Running", "AuroraService", instance+`, label_borealis_dev_live="true"`), false, false},
	} {
		for expression, want := range map[string]bool{notReady: about.without, notReady + " " + added: about.with} {
			rule := rulefmt.Rule{Alert: "KubePodNotReady", Expr: expression, For: model.Duration(15 * time.Minute)}
			if fires := len(fired(t, engine, rule, about.series)) > 0; fires != want {
				t.Errorf("%s: it fires: %v, by %s", about.what, fires, expression)
			}
		}
	}
}
