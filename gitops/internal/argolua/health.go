package argolua

import (
	"bytes"
	"path/filepath"
	"strings"
	"text/template"
)

// HealthScripts makes of the templates in a folder the script of each kind: those whose names begin with a capital letter.
// What they have in common stands in the others, since a script of Argo CD can't ask for another.
func HealthScripts(folder string) (map[string][]byte, error) {
	list := func(all ...string) []string { return all }
	all, err := template.New("").Funcs(template.FuncMap{"list": list}).ParseGlob(filepath.Join(folder, "*.lua"))
	if err != nil {
		return nil, err
	}
	scripts := map[string][]byte{}
	for _, one := range all.Templates() {
		kind, isLua := strings.CutSuffix(one.Name(), ".lua")
		if !isLua || strings.ToLower(kind[:1]) == kind[:1] {
			continue
		}
		var script bytes.Buffer
		if err := one.Execute(&script, nil); err != nil {
			return nil, err
		}
		scripts[kind] = script.Bytes()
	}
	return scripts, nil
}
