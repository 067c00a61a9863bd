package rendered

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// kustomization lists the files for `kubectl apply -k`. Its own name has no ending, so that `kubectl apply -f deploy/`
// leaves it out.
func kustomization(files map[string]string) string {
	var out strings.Builder
	out.WriteString(note)
	out.WriteString("# The kinds come first, and by themselves: kubectl apply -f crds/\n")
	out.WriteString("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&out, "  - %s\n", name)
	}
	return out.String()
}
