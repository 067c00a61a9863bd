package gitops

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	helm "github.com/fluxcd/helm-controller/api/v2"
	kustomize "github.com/fluxcd/kustomize-controller/api/v1"
	source "github.com/fluxcd/source-controller/api/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"borealis.dev/gitops/internal/crd"
	"borealis.dev/gitops/internal/objects"
)

const example = docs + "/example"

// Argo CD's API is a part of its program; its CustomResourceDefinition lies beside that.
const (
	argoModule = "github.com/argoproj/argo-cd/v3@v3.4.13"
	argoSum    = "h1:kmnF4nE5SQ83OhtdX6DMmLSpH0eRIa1gNYdCLNHqB+A="
)

// manifests are all objects of the example repository, by file and name.
func manifests(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	all := map[string]*unstructured.Unstructured{}
	err := filepath.WalkDir(example, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		found, err := objects.Read(file)
		for _, object := range found {
			relative, _ := filepath.Rel(example, file)
			all[relative+" "+object.GetKind()+"/"+object.GetName()] = object
		}
		return err
	})
	if err != nil || len(all) < 15 {
		t.Fatalf("%d manifests below %s: %v", len(all), example, err)
	}
	return all
}

// ours are those of Borealis's kinds.
func ours(t *testing.T) map[string]*unstructured.Unstructured {
	all := manifests(t)
	for name, object := range all {
		if object.GroupVersionKind().Group != "borealis.dev" {
			delete(all, name)
		}
	}
	return all
}

// typed are the kinds of others that have a Go type to read them with.
var typed = map[string]func() any{
	"Namespace":               func() any { return &core.Namespace{} },
	"HorizontalPodAutoscaler": func() any { return &autoscaling.HorizontalPodAutoscaler{} },
	"GitRepository":           func() any { return &source.GitRepository{} },
	"HelmRepository":          func() any { return &source.HelmRepository{} },
	"Kustomization":           func() any { return &kustomize.Kustomization{} },
	"HelmRelease":             func() any { return &helm.HelmRelease{} },
}

func TestEveryManifestOfTheExampleIsValid(t *testing.T) {
	definitions := kinds(t)
	if err := definitions.Add(filepath.Join(argoFolder(t), "manifests", "crds", "application-crd.yaml")); err != nil {
		t.Fatal(err)
	}
	for name, object := range manifests(t) {
		if make, known := typed[object.GetKind()]; known {
			text, err := yaml.Marshal(object.Object)
			if err == nil {
				err = yaml.UnmarshalStrict(text, make())
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err := checked(definitions, object); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func checked(definitions crd.Kinds, object *unstructured.Unstructured) error {
	kind, err := definitions.Of(object)
	if err != nil {
		return err
	}
	if unknown := kind.Unknown(object); len(unknown) > 0 {
		return fmt.Errorf("no schema knows %s", strings.Join(unknown, ", "))
	}
	filled := object.DeepCopy()
	kind.Default(filled)
	return kind.Validate(filled, nil)
}

// argoFolder is where the Go module of Argo CD lies; its sum is the one that is known.
func argoFolder(t *testing.T) string {
	t.Helper()
	command := exec.Command("go", "mod", "download", "-json", argoModule)
	command.Stderr = os.Stderr
	text, err := command.Output()
	module := struct{ Dir, Sum, Error string }{}
	if json.Unmarshal(text, &module) != nil || err != nil || module.Error != "" {
		t.Fatalf("go mod download %s: %v %s", argoModule, err, module.Error)
	}
	if module.Sum != argoSum {
		t.Fatalf("%s has the sum %s, want %s", argoModule, module.Sum, argoSum)
	}
	return module.Dir
}

// What comes first is waited for: each Kustomization waits for its objects and depends on one that is there, and the first
// holds the kinds.
func TestTheExampleGoesInOrder(t *testing.T) {
	all := map[string]*kustomize.Kustomization{}
	for name, object := range manifests(t) {
		if object.GetKind() != "Kustomization" {
			continue
		}
		text, _ := yaml.Marshal(object.Object)
		one := &kustomize.Kustomization{}
		if err := yaml.UnmarshalStrict(text, one); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[one.Name] = one
	}
	order := []string{"borealis", "platform", "apps"}
	if len(all) != len(order) {
		t.Errorf("%d Kustomizations, want %v", len(all), order)
	}
	for at, name := range order {
		one := all[name]
		if one == nil {
			t.Fatalf("no Kustomization %s", name)
		}
		if !one.Spec.Wait {
			t.Errorf("Kustomization %s waits for nothing, and others depend on it", name)
		}
		var on []string
		for _, dependency := range one.Spec.DependsOn {
			on = append(on, dependency.Name)
		}
		if want := order[max(0, at-1):at]; !slices.Equal(on, want) {
			t.Errorf("Kustomization %s depends on %v, want %v", name, on, want)
		}
		if _, err := os.Stat(filepath.Join(example, one.Spec.Path)); err != nil {
			t.Errorf("Kustomization %s: %v", name, err)
		}
	}
	if all["borealis"].Spec.Prune {
		t.Error("Kustomization borealis prunes: the kinds would go, and all objects with them")
	}

	// The same in Argo CD, by waves.
	waves := map[string]string{}
	for _, object := range manifests(t) {
		if object.GetKind() == "Application" {
			waves[object.GetName()] = object.GetAnnotations()["argocd.argoproj.io/sync-wave"]
			path, found, _ := unstructured.NestedString(object.Object, "spec", "source", "path")
			if _, err := os.Stat(filepath.Join(example, path)); found && err != nil {
				t.Errorf("Application %s: %v", object.GetName(), err)
			}
		}
	}
	for at, name := range []string{"borealis-crds", "borealis", "platform", "apps"} {
		if waves[name] != fmt.Sprint(at) {
			t.Errorf("Application %s has wave %q, want %d", name, waves[name], at)
		}
	}
}

// Objects lie in namespaces that the example makes, and ask of their role only what that allows.
func TestTheExampleFitsTogether(t *testing.T) {
	labels, tiers := map[string]map[string]string{}, map[string][]string{}
	for _, object := range manifests(t) {
		switch object.GetKind() {
		case "Namespace":
			labels[object.GetName()] = object.GetLabels()
		case "AuroraRole":
			selector, _, _ := unstructured.NestedStringMap(object.Object, "spec", "namespaces", "matchLabels")
			allowed, _, _ := unstructured.NestedStringSlice(object.Object, "spec", "tiers")
			tiers[selector["team"]] = allowed
		}
	}
	for name, object := range ours(t) {
		namespace := object.GetNamespace()
		if namespace == "" {
			continue
		}
		if labels[namespace] == nil {
			t.Errorf("%s is in namespace %s, which nothing makes", name, namespace)
		}
		tier, found, _ := unstructured.NestedString(object.Object, "spec", "tier")
		if allowed := tiers[labels[namespace]["team"]]; found && !slices.Contains(allowed, tier) {
			t.Errorf("%s asks for tier %s, its role may use %v", name, tier, allowed)
		}
	}
}
