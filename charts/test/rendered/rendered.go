// Package rendered says what the charts come to: their templates with values put in, by Helm's own code. It asks no
// cluster. Used by the tests beside it and by cmd/deploy.
package rendered

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	chart "helm.sh/helm/v4/pkg/chart/v2"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

// Namespace is where the operator is installed unless somebody says otherwise.
const Namespace = "borealis-system"

// Repository is the folder that charts/ is in, found from the folder that a test or a command runs in.
func Repository() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "charts", "borealis", "Chart.yaml")); err == nil {
			return at, nil
		}
	}
	return "", fmt.Errorf("no folder above this one has charts/borealis: run this within the repository")
}

// Load reads a chart of charts/ by its name.
func Load(name string) (*chart.Chart, error) {
	root, err := Repository()
	if err != nil {
		return nil, err
	}
	return loader.LoadDir(filepath.Join(root, "charts", name))
}

// Values are those of a file.
func Values(file string) (map[string]any, error) {
	values, err := common.ReadValuesFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return values, nil
}

// Chart is what a chart comes to: text by the template's path below the chart, of those that come to anything. Values
// are checked against its schema.
func Chart(of *chart.Chart, values map[string]any, namespace string) (map[string]string, error) {
	caps := common.DefaultCapabilities.Copy()
	caps.KubeVersion = common.KubeVersion{Version: "v1.36.0", Major: "1", Minor: "36"}
	release := common.ReleaseOptions{Name: "borealis", Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(of, values, release, caps)
	if err != nil {
		return nil, err
	}
	texts, err := engine.Render(of, all)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, text := range texts {
		if strings.HasPrefix(path.Base(name), "_") || strings.TrimSpace(text) == "" {
			continue
		}
		out[strings.TrimPrefix(name, of.Name()+"/")] = strings.TrimSpace(text) + "\n"
	}
	return out, nil
}

// Text is all that would be applied, in the order of the files' names, each under its name.
func Text(texts map[string]string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		fmt.Fprintf(&out, "---\n# Source: %s\n%s", name, strings.TrimPrefix(texts[name], "---\n"))
	}
	return out.String()
}
