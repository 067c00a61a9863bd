package charts

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// leaves are the values as people name them: tables that are named by their parts, all else as a whole.
func leaves(values map[string]any, before string) map[string]any {
	out := map[string]any{}
	for name, value := range values {
		path := before + name
		table, is := value.(map[string]any)
		if is && len(table) > 0 && path != "tiers" && path != "dashboard.labels" {
			maps.Copy(out, leaves(table, path+"."))
		} else {
			out[path] = value
		}
	}
	return out
}

func TestTheReadmeNamesEveryValue(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `([\\w.]+)` \\| ([^|]*) \\|")
	written := map[string]string{}
	for _, found := range row.FindAllStringSubmatch(read(t, "charts", "borealis", "README.md"), -1) {
		written[found[1]] = found[2]
	}
	there := leaves(load(t, "borealis").Values, "")
	for _, name := range slices.Sorted(maps.Keys(there)) {
		text, is := written[name]
		if !is {
			t.Errorf("%s: README.md does not tell of it", name)
			continue
		}
		// What is told in words is not compared.
		if code := regexp.MustCompile("^`(.*)`$").FindStringSubmatch(text); code != nil && name != "dashboard.labels" {
			want := parse(t, "value: "+code[1])["value"]
			if got := there[name]; !same(got, want) {
				t.Errorf("%s: README.md says %v, and it is %v", name, want, got)
			}
		}
	}
	for name := range written {
		if _, is := there[name]; !is {
			t.Errorf("%s: README.md tells of it, and there is no such value", name)
		}
	}
}

// same compares what YAML may write with quotes or without.
func same(a, b any) bool {
	return text(a) == text(b)
}

func text(value any) string {
	out, err := yaml.Marshal(value)
	if err != nil {
		panic(err)
	}
	return strings.Trim(strings.TrimSpace(string(out)), `"'`)
}
