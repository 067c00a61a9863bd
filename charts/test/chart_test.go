// Package charts tests the charts: what they come to, what they refuse, and that they say the same as what they are made
// of. Helm is the library; `helm` itself and a cluster are for others.
package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	chart "helm.sh/helm/v4/pkg/chart/v2"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"borealis.dev/charts/test/rendered"
)

var sets = []string{"default", "ha", "minimal"}

func load(t *testing.T, name string) *chart.Chart {
	t.Helper()
	of, err := rendered.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return of
}

func values(t *testing.T, set string) map[string]any {
	t.Helper()
	values, err := rendered.Values(filepath.Join("testdata", "values", set+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// parse reads values that a test has in itself.
func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return values
}

func render(t *testing.T, values map[string]any) map[string]string {
	t.Helper()
	texts, err := rendered.Chart(load(t, "borealis"), values, rendered.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// objects are those of YAML in several documents, each as JSON values.
func objects(t *testing.T, text string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		text, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		// Whole numbers stay whole, as they do in an API server.
		object := map[string]any{}
		if err := json.Unmarshal(text, &object); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(object) > 0 {
			out = append(out, object)
		}
	}
	return out
}

// find gives the one object of a kind and a name.
func find(t *testing.T, all []map[string]any, kind, name string) map[string]any {
	t.Helper()
	for _, object := range all {
		if object["kind"] == kind && object["metadata"].(map[string]any)["name"] == name {
			return object
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

// at follows keys and indexes into an object.
func at(t *testing.T, value any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			value = value.(map[string]any)[step]
		case int:
			value = value.([]any)[step]
		}
	}
	return value
}

func TestLintFindsNothing(t *testing.T) {
	root, err := rendered.Repository()
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, values map[string]any) {
		result := lint.RunAll(filepath.Join(root, "charts", name), values, rendered.Namespace)
		for _, message := range result.Messages {
			// What is below a warning is advice, such as that a chart might have an icon.
			if message.Severity >= support.WarningSev {
				t.Errorf("%s: %v", name, message)
			}
		}
	}
	check("borealis-crds", map[string]any{})
	for _, set := range sets {
		check("borealis", values(t, set))
	}
}

func TestWhatItComesToIsWhatItWas(t *testing.T) {
	for _, set := range sets {
		texts := render(t, values(t, set))
		got := rendered.Text(texts) + "---\n# NOTES.txt\n" + prefixed(texts["templates/NOTES.txt"])
		file := filepath.Join("testdata", set+".golden.yaml")
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		objects(t, got)
		if got != string(want) {
			t.Errorf("%s: %s\nif that is what you want, run UPDATE=1 make charts and read the difference", set, difference(got, string(want)))
		}
	}
}

func prefixed(text string) string {
	return strings.ReplaceAll("# "+strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n# ")+"\n", "# \n", "#\n")
}

// difference says where two texts part.
func difference(got, want string) string {
	gots, wants := strings.Split(got, "\n"), strings.Split(want, "\n")
	for nth := range gots {
		if nth >= len(wants) {
			return "there is more: " + gots[nth]
		}
		if gots[nth] != wants[nth] {
			return "got:  " + gots[nth] + "\nwant: " + wants[nth]
		}
	}
	return "there is less: " + wants[len(gots)]
}
