// KWOK's stages, put together from the files beside this one.

package simulation

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"text/template"
)

//go:embed stages/*.yaml
var stageFiles embed.FS

//go:embed next.jq
var nextProgram string

//go:embed snippets.tmpl
var snippets string

// Stages returns KWOK's Stage documents by file name. The files are templates in
// square brackets, since several share parts and all ask the same program what is
// next; what stands in braces is for KWOK.
func Stages() (map[string]string, error) {
	shared := template.New("shared").Delims("[[", "]]").Funcs(template.FuncMap{"next": next})
	if _, err := shared.Parse(snippets); err != nil {
		return nil, err
	}
	entries, err := stageFiles.ReadDir("stages")
	if err != nil {
		return nil, err
	}
	documents := map[string]string{}
	for _, entry := range entries {
		text, err := stageFiles.ReadFile(path.Join("stages", entry.Name()))
		if err != nil {
			return nil, err
		}
		if documents[entry.Name()], err = render(shared, string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
	}
	return documents, nil
}

// next is a field of the program's answer, quoted for YAML.
func next(field string) (string, error) {
	quoted, err := json.Marshal(fmt.Sprintf("%s| .%s", nextProgram, field))
	return string(quoted), err
}

// render fills in one file, line by line so that a snippet of several lines gets
// the indentation of the line that asks for it.
func render(shared *template.Template, text string) (string, error) {
	var out strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), `[[ snippet "`); ok {
			var part bytes.Buffer
			if err := shared.ExecuteTemplate(&part, strings.TrimSuffix(name, `" ]]`), nil); err != nil {
				return "", err
			}
			line = indent + strings.ReplaceAll(dedent(part.String()), "\n", "\n"+indent)
		} else if strings.Contains(line, "[[") {
			var part bytes.Buffer
			single, err := template.Must(shared.Clone()).Parse(line)
			if err != nil {
				return "", err
			}
			if err := single.Execute(&part, nil); err != nil {
				return "", err
			}
			line = part.String()
		}
		out.WriteString(line + "\n")
	}
	return out.String(), nil
}

// dedent takes away the empty lines around a snippet and the indentation that
// all its lines share.
func dedent(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	common := -1
	for _, line := range lines {
		if indent := len(line) - len(strings.TrimLeft(line, " ")); line != "" && (common < 0 || indent < common) {
			common = indent
		}
	}
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, strings.Repeat(" ", max(common, 0)))
	}
	return strings.Join(lines, "\n")
}
