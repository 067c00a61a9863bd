package gitops

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"borealis.dev/gitops/internal/objects"
)

func diff(want, got *unstructured.Unstructured) string {
	return cmp.Diff(want.Object, got.Object)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func set(t *testing.T, object *unstructured.Unstructured, value any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(object.Object, value, path...); err != nil {
		t.Fatal(err)
	}
}

func statusOf(object *unstructured.Unstructured) map[string]any {
	found, _, _ := unstructured.NestedMap(object.Object, "status")
	return found
}

func conditions(object *unstructured.Unstructured) []map[string]any {
	var all []map[string]any
	list, _ := statusOf(object)["conditions"].([]any)
	for _, one := range list {
		all = append(all, one.(map[string]any))
	}
	return all
}

func one(t *testing.T, file string) *unstructured.Unstructured {
	t.Helper()
	all, err := objects.Read(file)
	if err != nil || len(all) != 1 {
		t.Fatalf("%s holds %d objects: %v", file, len(all), err)
	}
	return all[0]
}
