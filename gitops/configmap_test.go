package gitops

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"borealis.dev/gitops/internal/argolua"
)

// Each health script is what its template makes.
func TestHealthScriptsAreWhatTheirTemplatesMake(t *testing.T) {
	onlyForSamplesOfTheRepository(t)
	scripts, err := argolua.HealthScripts("health")
	if err != nil {
		t.Fatal(err)
	}
	for gvk := range kinds(t) {
		committed := read(t, filepath.Join(customizations, gvk.Kind, "health.lua"))
		if difference := cmp.Diff(string(scripts[gvk.Kind]), committed); difference != "" {
			t.Errorf("health.lua of %s is not what its template makes; run make gitops-generate:\n%s", gvk.Kind, difference)
		}
	}
}

// docs/gitops/argocd-cm.yaml is what the scripts make, and Argo CD reads the very scripts out of it.
func TestTheConfigMapHoldsTheScripts(t *testing.T) {
	onlyForSamplesOfTheRepository(t)
	want, err := argolua.ConfigMap(filepath.Join(docs, "resource_customizations"))
	if err != nil {
		t.Fatal(err)
	}
	committed := read(t, docs+"/argocd-cm.yaml")
	if difference := cmp.Diff(string(want), committed); difference != "" {
		t.Errorf("docs/gitops/argocd-cm.yaml is not what the scripts make; run make gitops-generate:\n%s", difference)
	}
	for gvk := range kinds(t) {
		key, folder := gvk.Group+"_"+gvk.Kind, filepath.Join(customizations, gvk.Kind)
		same := func(action, file string) {
			script, err := argolua.Script([]byte(committed), key, action)
			if err != nil || script != read(t, file) {
				t.Errorf("%s of the ConfigMap is not %s: %v", key, file, err)
			}
		}
		same("", filepath.Join(folder, "health.lua"))
		if actions, _ := filepath.Glob(filepath.Join(folder, "actions", "discovery.lua")); len(actions) == 0 {
			continue
		}
		same("discovery", filepath.Join(folder, "actions", "discovery.lua"))
		for _, name := range actionsOf(t, gvk.Kind) {
			same(name, filepath.Join(folder, "actions", name, "action.lua"))
		}
	}
}
