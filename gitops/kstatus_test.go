package gitops

import (
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What `wait: true` of Flux, and whoever else goes by kstatus, makes of an object stands in the name of its file.
func TestKstatusSaysWhatTheFileNameSays(t *testing.T) {
	for _, sample := range samples(t) {
		result, err := status.Compute(sample.Object)
		if err != nil {
			t.Errorf("%s: %v", sample.File, err)
			continue
		}
		if string(result.Status) != sample.Kstatus {
			t.Errorf("%s: kstatus says %s (%s)", sample.File, result.Status, result.Message)
		}
	}
}

// What was just applied is not done, though kstatus would say so of an object without a status.
func TestWhatWasJustAppliedIsNotDone(t *testing.T) {
	onlyForSamplesOfTheRepository(t)
	for gvk, kind := range kinds(t) {
		store, err := kind.NewStore()
		if err != nil {
			t.Fatal(err)
		}
		applied := &unstructured.Unstructured{}
		applied.SetGroupVersionKind(gvk)
		applied.SetName("web")
		if err := store.Apply(applied, "flux", false); err != nil {
			t.Fatal(err)
		}
		live := store.Live()
		live.SetGeneration(1)
		if result, err := status.Compute(live); err != nil || result.Status != status.InProgressStatus {
			t.Errorf("a new %s: %v, %v, want InProgress", gvk.Kind, result, err)
		}
		unstructured.RemoveNestedField(live.Object, "status")
		if result, err := status.Compute(live); err != nil || result.Status != status.CurrentStatus {
			t.Errorf("a %s without a status: %v, %v; the default is needless", gvk.Kind, result, err)
		}
	}
}

// What failed says why: Flux shows people the message of kstatus.
func TestWhatFailedSaysWhy(t *testing.T) {
	for _, sample := range samples(t) {
		result, err := status.Compute(sample.Object)
		if err == nil && result.Status == status.FailedStatus && len(result.Message) < 20 {
			t.Errorf("%s has failed, and kstatus has only %q to say of it", sample.File, result.Message)
		}
	}
}

// Conditions that contradict each other would be read differently by different tools.
func TestConditionsDoNotContradictEachOther(t *testing.T) {
	for _, sample := range samples(t) {
		is := map[string]bool{}
		for _, condition := range conditions(sample.Object) {
			kind := condition["type"].(string)
			if _, twice := is[kind]; twice {
				t.Errorf("%s has the condition %s twice", sample.File, kind)
			}
			is[kind] = condition["status"] == "True"
			if of := condition["observedGeneration"]; of != nil && of.(int64) > sample.Object.GetGeneration() {
				t.Errorf("%s: condition %s is of generation %d, which is yet to come", sample.File, kind, of)
			}
		}
		if is["Reconciling"] && is["Stalled"] {
			t.Errorf("%s is Reconciling and Stalled", sample.File)
		}
		if is["Complete"] && is["Failed"] {
			t.Errorf("%s is Complete and Failed", sample.File)
		}
	}
}

// CRDs go first, and what waits for them waits for this.
func TestACRDIsCurrentOnceItIsEstablished(t *testing.T) {
	onlyForSamplesOfTheRepository(t)
	for established, want := range map[string]status.Status{"False": status.InProgressStatus, "True": status.CurrentStatus} {
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiextensions.k8s.io/v1",
			"kind":       "CustomResourceDefinition",
			"metadata":   map[string]any{"name": "auroraservices.borealis.dev", "generation": int64(1)},
			"status": map[string]any{"conditions": []any{
				map[string]any{"type": "NamesAccepted", "status": "True"},
				map[string]any{"type": "Established", "status": established, "reason": "Installing"},
			}},
		}}
		if result, err := status.Compute(object); err != nil || result.Status != want {
			t.Errorf("Established %s: %v, %v, want %s", established, result, err, want)
		}
	}
}
