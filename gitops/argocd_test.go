package gitops

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"borealis.dev/gitops/internal/argolua"
	"borealis.dev/gitops/internal/objects"
)

// The files that Argo CD keeps beside its scripts, in its own format.
type healthTests struct {
	Tests []struct {
		InputPath    string         `json:"inputPath"`
		HealthStatus argolua.Health `json:"healthStatus"`
	} `json:"tests"`
}

type actionTests struct {
	DiscoveryTests []struct {
		InputPath string `json:"inputPath"`
		Result    []struct {
			Name        string `json:"name"`
			Disabled    bool   `json:"disabled"`
			DisplayName string `json:"displayName"`
		} `json:"result"`
	} `json:"discoveryTests"`
	ActionTests []struct {
		Action             string `json:"action"`
		InputPath          string `json:"inputPath"`
		ExpectedOutputPath string `json:"expectedOutputPath"`
	} `json:"actionTests"`
}

func unmarshal(t *testing.T, file string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(read(t, file)), into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func healthOf(t *testing.T, sample objects.Sample) (argolua.Health, error) {
	return argolua.RunHealth(read(t, filepath.Join(customizations, sample.Object.GetKind(), "health.lua")), sample.Object)
}

func TestHealthIsWhatTheFileNameSays(t *testing.T) {
	for _, sample := range samples(t) {
		health, err := healthOf(t, sample)
		if err != nil {
			t.Errorf("%s: %v", sample.File, err)
			continue
		}
		if health.Status != sample.Health {
			t.Errorf("%s: Argo CD says %s (%s)", sample.File, health.Status, health.Message)
		}
		if health.Message == "" {
			t.Errorf("%s: health %s without a word why", sample.File, health.Status)
		}
	}
}

// Argo CD and kstatus say the same, but that Argo CD has a word for what is held: by its own spec, so that kstatus takes it
// for done, or by a person or the freeze, so that it waits.
func TestHealthAndKstatusAgree(t *testing.T) {
	agree := map[string][]string{
		"Current":     {"Healthy"},
		"Failed":      {"Degraded"},
		"InProgress":  {"Progressing", "Suspended"},
		"Terminating": {"Progressing"},
	}
	byItsSpec := []string{"Suspended", "UpdateHeld"}
	for _, sample := range samples(t) {
		may := agree[sample.Kstatus]
		for _, condition := range conditions(sample.Object) {
			if condition["type"] == "Ready" && slices.Contains(byItsSpec, condition["reason"].(string)) && sample.Kstatus == "Current" {
				may = []string{"Suspended"}
			}
		}
		if !slices.Contains(may, sample.Health) {
			t.Errorf("%s: kstatus says %s, Argo CD %s", sample.File, sample.Kstatus, sample.Health)
		}
	}
}

// health_test.yaml is what Argo CD's own tests read: it names every sample, and says what its script says.
func TestHealthTestsOfArgoCDHold(t *testing.T) {
	onlyForSamplesOfTheRepository(t)
	named := map[string]bool{}
	for gvk := range kinds(t) {
		folder := filepath.Join(customizations, gvk.Kind)
		tests := healthTests{}
		unmarshal(t, filepath.Join(folder, "health_test.yaml"), &tests)
		script := read(t, filepath.Join(folder, "health.lua"))
		for _, test := range tests.Tests {
			file := filepath.Join(folder, test.InputPath)
			named[file] = true
			health, err := argolua.RunHealth(script, one(t, file))
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if difference := cmp.Diff(test.HealthStatus, health); difference != "" {
				t.Errorf("%s:\n%s", file, difference)
			}
		}
	}
	for _, sample := range samples(t) {
		if !named[sample.File] {
			t.Errorf("%s is not in the health_test.yaml of its kind", sample.File)
		}
	}
}

func TestActionTestsOfArgoCDHold(t *testing.T) {
	onlyForSamplesOfTheRepository(t)
	argolua.Now = func() time.Time { return time.Date(2026, 7, 1, 11, 30, 0, 0, time.FixedZone("CEST", 7200)) }
	t.Cleanup(func() { argolua.Now = time.Now })
	all := kinds(t)
	for _, kind := range withActions(t) {
		folder := filepath.Join(customizations, kind, "actions")
		tests := actionTests{}
		unmarshal(t, filepath.Join(folder, "action_test.yaml"), &tests)
		discovery := read(t, filepath.Join(folder, "discovery.lua"))
		for _, test := range tests.DiscoveryTests {
			file := filepath.Join(folder, test.InputPath)
			found, err := argolua.RunDiscovery(discovery, one(t, file))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			want := map[string]argolua.Action{}
			for _, action := range test.Result {
				want[action.Name] = argolua.Action{Disabled: action.Disabled, DisplayName: action.DisplayName}
			}
			if difference := cmp.Diff(want, found); difference != "" {
				t.Errorf("actions of %s:\n%s", file, difference)
			}
		}
		tried := map[string]bool{}
		for _, test := range tests.ActionTests {
			tried[test.Action] = true
			before := one(t, filepath.Join(folder, test.InputPath))
			after, err := argolua.RunAction(read(t, filepath.Join(folder, test.Action, "action.lua")), before)
			if err != nil {
				t.Fatalf("%s of %s: %v", test.Action, test.InputPath, err)
			}
			if difference := diff(one(t, filepath.Join(folder, test.ExpectedOutputPath)), after); difference != "" {
				t.Errorf("%s of %s:\n%s", test.Action, test.InputPath, difference)
			}
			if err := all[before.GroupVersionKind()].Validate(after, before); err != nil {
				t.Errorf("%s of %s is refused: %v", test.Action, test.InputPath, err)
			}
		}
		for _, name := range actionsOf(t, kind) {
			if !tried[name] {
				t.Errorf("action %s of %s has no test in its action_test.yaml", name, kind)
			}
		}
	}
}

// What is offered is not refused: each action that is not disabled, of each sample, makes a change that the API server
// takes, and writes nothing but what people own. What is disabled on an update is what the rules of its kind refuse, or
// what would mean nothing.
func TestNoActionThatIsOfferedIsRefused(t *testing.T) {
	all := kinds(t)
	offered := map[string]int{}
	for _, sample := range samples(t) {
		kind := sample.Object.GetKind()
		folder := filepath.Join(customizations, kind, "actions")
		if !slices.Contains(withActions(t), kind) {
			continue
		}
		found, err := argolua.RunDiscovery(read(t, filepath.Join(folder, "discovery.lua")), sample.Object)
		if err != nil {
			t.Fatalf("%s: %v", sample.File, err)
		}
		for name, action := range found {
			if action.Disabled {
				continue
			}
			offered[kind+"/"+name]++
			after, err := argolua.RunAction(read(t, filepath.Join(folder, name, "action.lua")), sample.Object)
			if err != nil {
				t.Fatalf("%s of %s: %v", name, sample.File, err)
			}
			definition, err := all.Of(sample.Object)
			if err != nil {
				t.Fatal(err)
			}
			if unknown := definition.Unknown(after); len(unknown) > 0 {
				t.Errorf("%s of %s writes what no schema knows: %v", name, sample.File, unknown)
			}
			if err := definition.Validate(after, sample.Object); err != nil {
				t.Errorf("%s of %s is offered and refused: %v", name, sample.File, err)
			}
			for _, part := range []string{"status", "apiVersion", "kind"} {
				if difference := cmp.Diff(sample.Object.Object[part], after.Object[part]); difference != "" {
					t.Errorf("%s of %s changes %s:\n%s", name, sample.File, part, difference)
				}
			}
			if diff(sample.Object, after) == "" {
				t.Errorf("%s of %s is offered and changes nothing", name, sample.File)
			}
		}
	}
	if _, real := os.LookupEnv(folderVariable); real {
		return
	}
	for _, kind := range withActions(t) {
		for _, name := range actionsOf(t, kind) {
			if offered[kind+"/"+name] == 0 {
				t.Errorf("action %s of %s is never offered", name, kind)
			}
		}
	}
}

// The rules of AuroraUpdate say what is refused in which state: what they refuse is disabled.
func TestWhatIsRefusedIsDisabled(t *testing.T) {
	all := kinds(t)
	folder := filepath.Join(customizations, "AuroraUpdate", "actions")
	refusals := 0
	for _, sample := range samples(t) {
		if sample.Object.GetKind() != "AuroraUpdate" {
			continue
		}
		found, err := argolua.RunDiscovery(read(t, filepath.Join(folder, "discovery.lua")), sample.Object)
		if err != nil {
			t.Fatal(err)
		}
		for name, action := range found {
			after, err := argolua.RunAction(read(t, filepath.Join(folder, name, "action.lua")), sample.Object)
			if err != nil {
				t.Fatal(err)
			}
			if all[sample.Object.GroupVersionKind()].Validate(after, sample.Object) != nil {
				refusals++
				if !action.Disabled {
					t.Errorf("%s of %s is refused, and not disabled", name, sample.File)
				}
			}
		}
	}
	if _, real := os.LookupEnv(folderVariable); !real && refusals < 10 {
		t.Errorf("only %d refusals: the rules of AuroraUpdate were not asked", refusals)
	}
}

func withActions(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(customizations, "*", "actions"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no actions below %s: %v", customizations, err)
	}
	for i, folder := range found {
		found[i] = filepath.Base(filepath.Dir(folder))
	}
	return found
}

func actionsOf(t *testing.T, kind string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(customizations, kind, "actions", "*", "action.lua"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no actions of %s: %v", kind, err)
	}
	for i, file := range found {
		found[i] = strings.TrimSuffix(filepath.Base(filepath.Dir(file)), "/")
	}
	return found
}
