package rendered

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
)

const note = "# Generated from charts/borealis by `make generate`; do not edit.\n"

// Deploy is what belongs in deploy/: a file of each numbered template, as it comes with deploy.values.yaml, and
// what `kubectl apply -k` goes by.
func Deploy() (map[string]string, error) {
	root, err := Repository()
	if err != nil {
		return nil, err
	}
	values, err := Values(filepath.Join(root, "charts", "deploy.values.yaml"))
	if err != nil {
		return nil, err
	}
	of, err := Load("borealis")
	if err != nil {
		return nil, err
	}
	texts, err := Chart(of, values, Namespace)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, text := range texts {
		base := path.Base(name)
		if path.Dir(name) == "templates" && base[0] >= '0' && base[0] <= '9' {
			out[base] = note + text
		}
	}
	out["Kustomization"] = kustomization(out)
	return out, nil
}

// Stale names the files of the folder that are not as they should be, and those that should not be there.
func Stale(folder string, files map[string]string) ([]string, error) {
	var stale []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		found, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		if err != nil || string(found) != files[name] {
			stale = append(stale, name)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if _, ours := files[entry.Name()]; !ours {
			stale = append(stale, entry.Name())
		}
	}
	return stale, nil
}
