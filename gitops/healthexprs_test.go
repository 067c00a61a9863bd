package gitops

import (
	"context"
	"testing"

	kustomize "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/runtime/cel"
	"sigs.k8s.io/yaml"
)

// The example's own health checks, evaluated by Flux's code: as Argo CD has it. What Git itself suspends or holds is there;
// what a person has paused, or the freeze holds back, is still to come. Of an object without a status Flux can't tell, and
// goes on waiting.
func TestTheHealthChecksOfTheExample(t *testing.T) {
	evaluators := map[string]*cel.StatusEvaluator{}
	for name, object := range manifests(t) {
		if object.GetKind() != "Kustomization" {
			continue
		}
		text, _ := yaml.Marshal(object.Object)
		one := &kustomize.Kustomization{}
		if err := yaml.UnmarshalStrict(text, one); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, check := range one.Spec.HealthCheckExprs {
			evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, check.Kind, err)
			}
			evaluators[check.Kind] = evaluator
		}
	}
	for _, kind := range []string{"AuroraService", "AuroraJob", "AuroraCron"} {
		if evaluators[kind] == nil {
			t.Errorf("the example has no health check of %s", kind)
		}
	}
	for _, sample := range samples(t) {
		evaluator := evaluators[sample.Object.GetKind()]
		if evaluator == nil || sample.Object.GetDeletionTimestamp() != nil {
			continue
		}
		result, err := evaluator.Evaluate(context.Background(), sample.Object)
		if statusOf(sample.Object) == nil {
			if err == nil {
				t.Errorf("%s: Flux says %s of an object without a status", sample.File, result.Status)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", sample.File, err)
			continue
		}
		want := map[string]string{"Healthy": "Current", "Degraded": "Failed", "Progressing": "InProgress", "Suspended": "InProgress"}[sample.Health]
		is := map[string]map[string]any{}
		for _, condition := range conditions(sample.Object) {
			is[condition["type"].(string)] = condition
		}
		held := is["Ready"]["reason"] == "Suspended" || is["Ready"]["reason"] == "UpdateHeld"
		if held && is["Reconciling"]["status"] == "False" {
			want = "Current"
		}
		if string(result.Status) != want {
			t.Errorf("%s: Flux says %s, want %s", sample.File, result.Status, want)
		}
	}
}
