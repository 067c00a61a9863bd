package argolua

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// ConfigMap renders the scripts of a folder <group>/<Kind>/… as Argo CD reads them from its ConfigMap argocd-cm.
func ConfigMap(folder string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*", "*", "health.lua"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s holds no <group>/<Kind>/health.lua: %v", folder, err)
	}
	data := map[string]string{}
	for _, file := range files {
		kind := filepath.Dir(file)
		key := filepath.Base(filepath.Dir(kind)) + "_" + filepath.Base(kind)
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		data["resource.customizations.health."+key] = string(text)
		actions, err := actions(filepath.Join(kind, "actions"))
		if err != nil {
			return nil, err
		}
		if actions != "" {
			data["resource.customizations.actions."+key] = actions
		}
	}
	out := &bytes.Buffer{}
	out.WriteString("# Generated from resource_customizations/ by `make gitops-generate`; change the scripts there.\n" +
		"# kubectl --namespace argocd patch configmap argocd-cm --type merge --patch-file argocd-cm.yaml\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\n" +
		"  labels:\n    app.kubernetes.io/part-of: argocd\ndata:\n")
	keys := make([]string, 0, len(data))
	for key := range data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Fprintf(out, "  %s: |\n%s", key, indented(data[key], "    "))
	}
	return out.Bytes(), nil
}

// actions renders those of a kind; a kind without any has no such folder.
func actions(folder string) (string, error) {
	discovery, err := os.ReadFile(filepath.Join(folder, "discovery.lua"))
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(folder, "*", "action.lua"))
	if err != nil {
		return "", err
	}
	out := &strings.Builder{}
	fmt.Fprintf(out, "discovery.lua: |\n%sdefinitions:\n", indented(string(discovery), "  "))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(out, "- name: %s\n  action.lua: |\n%s", filepath.Base(filepath.Dir(file)), indented(string(text), "    "))
	}
	return out.String(), nil
}

// Script finds a script in such a ConfigMap as Argo CD does: of a health check, or of an action of this name, with
// `discovery` for what says which there are.
func Script(configMap []byte, key, action string) (string, error) {
	object := struct {
		Data map[string]string `json:"data"`
	}{}
	if err := yaml.Unmarshal(configMap, &object); err != nil {
		return "", err
	}
	if action == "" {
		return object.Data["resource.customizations.health."+key], nil
	}
	all := struct {
		Discovery   string `json:"discovery.lua"`
		Definitions []struct {
			Name   string `json:"name"`
			Script string `json:"action.lua"`
		} `json:"definitions"`
	}{}
	if err := yaml.UnmarshalStrict([]byte(object.Data["resource.customizations.actions."+key]), &all); err != nil {
		return "", err
	}
	if action == "discovery" {
		return all.Discovery, nil
	}
	for _, one := range all.Definitions {
		if one.Name == action {
			return one.Script, nil
		}
	}
	return "", fmt.Errorf("%s has no action %s", key, action)
}

func indented(text, by string) string {
	lines := strings.SplitAfter(strings.TrimRight(text, "\n")+"\n", "\n")
	for i, line := range lines {
		if strings.TrimSpace(line) != "" {
			lines[i] = by + line
		}
	}
	return strings.Join(lines, "")
}
