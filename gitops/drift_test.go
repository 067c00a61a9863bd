package gitops

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"

	"borealis.dev/gitops/internal/argolua"
	"borealis.dev/gitops/internal/crd"
)

const (
	flux   = "kustomize-controller"
	argo   = "argocd-controller"
	scaler = "kube-controller-manager"
)

func storeOf(t *testing.T, object *unstructured.Unstructured) *crd.Store {
	t.Helper()
	kind, err := kinds(t).Of(object)
	if err != nil {
		t.Fatal(err)
	}
	store, err := kind.NewStore()
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func apply(t *testing.T, store *crd.Store, object *unstructured.Unstructured, manager string) {
	t.Helper()
	if err := store.Apply(object, manager, true); err != nil {
		t.Fatal(err)
	}
}

func instances(t *testing.T, object *unstructured.Unstructured) int64 {
	t.Helper()
	value, _, err := unstructured.NestedInt64(object.Object, "spec", "instances")
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func scale(t *testing.T, store *crd.Store, to int64) {
	t.Helper()
	scaled := store.Live()
	set(t, scaled, to, "spec", "instances")
	if err := store.Update(scaled, scaler); err != nil {
		t.Fatal(err)
	}
}

// outOfSync is what Argo CD's comparison without server-side diff finds, by the three-way merge it uses for custom
// resources: what Git would change in what is there.
func outOfSync(t *testing.T, git, live *unstructured.Unstructured) string {
	t.Helper()
	config, err := json.Marshal(git.Object)
	if err != nil {
		t.Fatal(err)
	}
	bare := live.DeepCopy()
	bare.SetManagedFields(nil)
	there, err := json.Marshal(bare.Object)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(config, config, there)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(patch))
}

func service(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	return object(t, `{"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService",
		"metadata": {"name": "web", "namespace": "prod"}, "spec": {`+spec+`
		"template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}}}`)
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return object
}

// What the schema fills in is no drift: every manifest of the example, once it is there, is what Git says, for who
// compares as for who applies again.
func TestWhatTheSchemaFillsInIsNoDrift(t *testing.T) {
	for file, object := range ours(t) {
		store := storeOf(t, object)
		apply(t, store, object, flux)
		before := store.Live()
		if patch := outOfSync(t, object, before); patch != "{}" {
			t.Errorf("%s is out of sync from the start: %s", file, patch)
		}
		apply(t, store, object, flux)
		if difference := diff(before, store.Live()); difference != "" {
			t.Errorf("%s is changed by applying it again:\n%s", file, difference)
		}
	}
}

// But for items of lists: those are compared as a whole, so what the schema fills into one stands in Git, or server-side
// diff is used. The README names every such field.
func TestDefaultsInListsAreDriftForAClientSideDiff(t *testing.T) {
	cron := object(t, `{"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraJob",
		"metadata": {"name": "sum", "namespace": "batch"}, "spec": {
		"parents": [{"kind": "AuroraJob", "name": "load"}],
		"template": {"spec": {"containers": [{"name": "sum", "image": "sum:1"}]}}}}`)
	store := storeOf(t, cron)
	apply(t, store, cron, argo)
	want := `{"spec":{"parents":[{"kind":"AuroraJob","name":"load"}]}}`
	if patch := outOfSync(t, cron, store.Live()); patch != want {
		t.Errorf("out of sync: %s, want %s", patch, want)
	}
	before := store.Live()
	apply(t, store, cron, argo)
	if difference := diff(before, store.Live()); difference != "" {
		t.Errorf("a server-side diff finds something, too:\n%s", difference)
	}

	readme := read(t, docs+"/README.md")
	for gvk, kind := range kinds(t) {
		if gvk.Kind == "AuroraUpdate" {
			continue // It is the operator's to make.
		}
		for path := range kind.Defaults() {
			if strings.HasPrefix(path, ".spec") && strings.Contains(path, "[]") && !strings.Contains(readme, "`"+path[1:]+"`") {
				t.Errorf("%s has a default in a list that docs/gitops/README.md does not name: `%s`", gvk.Kind, path[1:])
			}
		}
	}
}

func TestScalingIsTakenBackWhereGitSaysHowMany(t *testing.T) {
	git := service(t, `"instances": 3,`)
	store := storeOf(t, git)
	apply(t, store, git, flux)
	scale(t, store, 5)
	if patch, want := outOfSync(t, git, store.Live()), `{"spec":{"instances":3}}`; patch != want {
		t.Errorf("out of sync: %s, want %s", patch, want)
	}
	if err := store.Apply(git, flux, false); err == nil {
		t.Error("applying without force takes back what an autoscaler wrote")
	}
	apply(t, store, git, flux)
	if count := instances(t, store.Live()); count != 3 {
		t.Errorf("%d instances, want Git's 3", count)
	}
}

func TestScalingStaysWhereGitDoesNotSayHowMany(t *testing.T) {
	git := service(t, "")
	store := storeOf(t, git)
	apply(t, store, git, flux)
	if count := instances(t, store.Live()); count != 1 {
		t.Errorf("%d instances, want the default of 1", count)
	}
	scale(t, store, 5)
	if patch := outOfSync(t, git, store.Live()); patch != "{}" {
		t.Errorf("out of sync: %s", patch)
	}
	apply(t, store, git, flux)
	if count := instances(t, store.Live()); count != 5 {
		t.Errorf("%d instances, want the autoscaler's 5", count)
	}
}

// Taking spec.instances out of Git hands it over only if the autoscaler has written it before: else one is left.
func TestInstancesAreHandedOverOnlyOnceTheAutoscalerHasWritten(t *testing.T) {
	for scaled, want := range map[bool]int64{false: 1, true: 5} {
		store := storeOf(t, service(t, ""))
		apply(t, store, service(t, `"instances": 3,`), flux)
		if scaled {
			scale(t, store, 5)
		}
		apply(t, store, service(t, ""), flux)
		if count := instances(t, store.Live()); count != want {
			t.Errorf("scaled before: %t; %d instances are left, want %d", scaled, count, want)
		}
	}
}

// What a person asks for in Argo CD stays while Git does not name the field, and goes at the next sync where it does.
func TestAnActionStaysUntilGitNamesTheField(t *testing.T) {
	without := one(t, docs+"/example/apps/nightly.yaml")
	with := without.DeepCopy()
	set(t, with, false, "spec", "suspend")
	for _, test := range []struct {
		git   *unstructured.Unstructured
		patch string
		after bool
	}{{without, "{}", true}, {with, `{"spec":{"suspend":false}}`, false}} {
		store := storeOf(t, test.git)
		apply(t, store, test.git, argo)
		script := read(t, customizations+"/AuroraCron/actions/suspend/action.lua")
		suspended, err := argolua.RunAction(script, store.Live())
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Update(suspended, "argocd-server"); err != nil {
			t.Fatal(err)
		}
		if patch := outOfSync(t, test.git, store.Live()); patch != test.patch {
			t.Errorf("out of sync: %s, want %s", patch, test.patch)
		}
		apply(t, store, test.git, argo)
		if suspend, _, _ := unstructured.NestedBool(store.Live().Object, "spec", "suspend"); suspend != test.after {
			t.Errorf("suspend is %t after the next sync, want %t", suspend, test.after)
		}
	}
}
