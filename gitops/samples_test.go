package gitops

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"borealis.dev/gitops/internal/crd"
	"borealis.dev/gitops/internal/objects"
)

const (
	docs           = "../docs/gitops"
	customizations = docs + "/resource_customizations/borealis.dev"
	// A folder of objects from a real cluster, named like the samples, that stand in their place.
	folderVariable = "BOREALIS_OBJECTS"
)

// samples are those of the repository, or the objects of the folder that the environment names.
func samples(t *testing.T) []objects.Sample {
	t.Helper()
	folder, real := os.LookupEnv(folderVariable)
	if !real {
		folder = customizations
	}
	all, err := objects.Samples(folder)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func onlyForSamplesOfTheRepository(t *testing.T) {
	t.Helper()
	if folder, real := os.LookupEnv(folderVariable); real {
		t.Skipf("%s is set: this test is about the samples of the repository, not about the objects in %s", folderVariable, folder)
	}
}

func kinds(t *testing.T) crd.Kinds {
	t.Helper()
	all, err := crd.Load("../crds")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A sample that the API server could not have answered is no sample.
func TestSamplesAreAsTheAPIServerWouldAnswer(t *testing.T) {
	all := kinds(t)
	for _, sample := range samples(t) {
		kind, err := all.Of(sample.Object)
		if err != nil {
			t.Errorf("%s: %v", sample.File, err)
			continue
		}
		if unknown := kind.Unknown(sample.Object); len(unknown) > 0 {
			t.Errorf("%s has fields that no schema knows: %s", sample.File, strings.Join(unknown, ", "))
		}
		if err := kind.Validate(sample.Object, nil); err != nil {
			t.Errorf("%s is refused: %v", sample.File, err)
		}
		filled := sample.Object.DeepCopy()
		kind.Default(filled)
		if difference := diff(sample.Object, filled); difference != "" {
			t.Errorf("%s lacks what the schema fills in:\n%s", sample.File, difference)
		}
	}
}

// The validation that the other tests rely on refuses what is wrong.
func TestValidationFindsWhatIsWrong(t *testing.T) {
	onlyForSamplesOfTheRepository(t)
	all := kinds(t)
	for _, wrong := range []struct {
		value any
		path  []string
		words string
	}{
		{int64(-1), []string{"spec", "instances"}, "should be greater than or equal to 0"},
		{"three", []string{"spec", "instances"}, "must be of type integer"},
		{"", []string{"spec", "update", "instances"}, "is empty, so that no instance could be updated"},
	} {
		object := sampleOf(t, "AuroraService", "running").Object.DeepCopy()
		set(t, object, wrong.value, wrong.path...)
		kind, err := all.Of(object)
		if err != nil {
			t.Fatal(err)
		}
		if err := kind.Validate(object, nil); err == nil || !strings.Contains(err.Error(), wrong.words) {
			t.Errorf("%s = %v: got %v, want %q", strings.Join(wrong.path, "."), wrong.value, err, wrong.words)
		}
	}
	object := sampleOf(t, "AuroraService", "running").Object.DeepCopy()
	set(t, object, true, "spec", "updates")
	kind, _ := all.Of(object)
	if unknown := kind.Unknown(object); !slices.Equal(unknown, []string{"spec.updates"}) {
		t.Errorf("fields that no schema knows: %v", unknown)
	}
}

// Reasons are part of what people and pipelines go by: each that a sample has stands in the operator's source, and each
// word of the operator for the condition Ready of a service, job or cron has a sample, or stands in for another.
func TestReasonsAreThoseOfTheOperator(t *testing.T) {
	onlyForSamplesOfTheRepository(t)
	declared := regexp.MustCompile(`pub const [A-Z_]+: &str = "([A-Za-z]+)"`)
	source := read(t, "../core/src/model/reasons.rs")
	known := map[string]bool{}
	for _, match := range declared.FindAllStringSubmatch(source, -1) {
		known[match[1]] = true
	}
	if len(known) < 30 {
		t.Fatalf("found only %d reasons in core/src/model/reasons.rs", len(known))
	}
	tenancy := read(t, "../src/tenancy/statuses.rs")
	states := read(t, "../core/src/model/update.rs") + read(t, "../src/api/convert/update.rs")
	seen := map[string]bool{}
	for _, sample := range samples(t) {
		for _, condition := range conditions(sample.Object) {
			reason := condition["reason"].(string)
			switch sample.Object.GetKind() {
			case "Tier", "AuroraRole", "Framework":
				if !strings.Contains(tenancy, `"`+reason+`"`) {
					t.Errorf("%s: reason %s is not in src/tenancy/statuses.rs", sample.File, reason)
				}
			case "AuroraUpdate":
				if !regexp.MustCompile(`(?m)^    ` + reason + `,$|"` + reason + `"`).MatchString(states) {
					t.Errorf("%s: reason %s is no state of an update", sample.File, reason)
				}
			default:
				seen[reason] = true
				if !known[reason] {
					t.Errorf("%s: reason %s is not in core/src/model/reasons.rs", sample.File, reason)
				}
			}
		}
	}
	// Each of these is told as others are: it stalls what was asked for. Throttled is no condition's.
	alike := []string{"InvalidSpec", "RevisionMissing", "ConfigDenied", "TierNotAllowed", "DedicatedNotAllowed", "Throttled"}
	for reason := range known {
		if !seen[reason] && !slices.Contains(alike, reason) {
			t.Errorf("reason %s of core/src/model/reasons.rs has no sample; add one below %s", reason, customizations)
		}
	}
}

// Every kind and every state of an update, of a job and of kstatus is among the samples.
func TestEveryStateHasASample(t *testing.T) {
	onlyForSamplesOfTheRepository(t)
	have := map[string]bool{}
	for _, sample := range samples(t) {
		kind := sample.Object.GetKind()
		have[kind+" "+sample.Kstatus] = true
		if seen, ok := statusOf(sample.Object)["observedGeneration"]; ok && seen != sample.Object.GetGeneration() {
			have[kind+" unobserved"] = true
		}
		for _, field := range []string{"state", "phase"} {
			if value, ok := statusOf(sample.Object)[field].(string); ok {
				have[kind+" "+value] = true
			}
		}
	}
	var want []string
	for gvk, kind := range kinds(t) {
		for _, status := range []string{"Current", "InProgress", "Terminating", "unobserved"} {
			want = append(want, fmt.Sprintf("%s %s", gvk.Kind, status))
		}
		for _, field := range []string{"state", "phase"} {
			property := kind.Structural.Properties["status"].Properties[field]
			if property.ValueValidation == nil {
				continue
			}
			for _, value := range property.ValueValidation.Enum {
				want = append(want, fmt.Sprintf("%s %s", gvk.Kind, value.Object))
			}
		}
	}
	for _, one := range want {
		if !have[one] {
			t.Errorf("no sample of %s", one)
		}
	}
}

func sampleOf(t *testing.T, kind, what string) objects.Sample {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(customizations, kind, "testdata", what+".*.yaml"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d samples %s of %s, %v", len(found), what, kind, err)
	}
	all, err := objects.Samples(filepath.Dir(found[0]))
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(sample objects.Sample) bool { return sample.File == found[0] })
	return all[at]
}
