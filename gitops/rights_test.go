package gitops

import (
	"slices"
	"testing"

	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"borealis.dev/gitops/internal/objects"
)

// That the operator writes nothing in a spec is more than its word: of the kinds that stand in Git it has no right to
// write anything but the status. It makes AuroraUpdates, and AuroraJobs for crons, and of a Tier it keeps a finalizer.
func TestTheOperatorHasNoRightToWriteWhatStandsInGit(t *testing.T) {
	onlyForSamplesOfTheRepository(t)
	all, err := objects.Read("../deploy/20-access.yaml")
	if err != nil {
		t.Fatal(err)
	}
	may := map[string][]string{}
	for _, object := range all {
		if object.GetKind() != "ClusterRole" {
			continue
		}
		role := &rbac.ClusterRole{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, role, true); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			if !slices.Contains(rule.APIGroups, "borealis.dev") && !slices.Contains(rule.APIGroups, "*") {
				continue
			}
			for _, resource := range rule.Resources {
				may[resource] = append(may[resource], rule.Verbs...)
			}
		}
	}
	writes := []string{"create", "update", "patch", "delete", "deletecollection", "*"}
	exceptions := map[string][]string{
		"aurorajobs":    {"create", "patch", "delete"},
		"auroraupdates": {"create", "patch", "delete"},
		"tiers":         {"patch"},
	}
	for gvk, kind := range kinds(t) {
		resource := kind.Definition.Spec.Names.Plural
		if !slices.Contains(may[resource+"/status"], "patch") {
			t.Errorf("the operator may not write the status of %s: is deploy/20-access.yaml read right?", gvk.Kind)
		}
		for _, verb := range may[resource] {
			if slices.Contains(writes, verb) && !slices.Contains(exceptions[resource], verb) {
				t.Errorf("the operator may %s %s", verb, resource)
			}
		}
	}
	if len(may["*"]) > 0 {
		t.Errorf("the operator may %v everything of the group", may["*"])
	}
}
