package oci

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// What the Dockerfile's last stage makes is what this program makes. It is read by BuildKit's own parser.
func TestTheImageIsTheDockerfiles(t *testing.T) {
	stages, shlex := dockerfile(t)
	final := stages[len(stages)-1]
	if final.BaseName != "scratch" {
		t.Errorf("the last stage is FROM %s, want scratch", final.BaseName)
	}
	config := v1.Config{Labels: map[string]string{}, ExposedPorts: map[string]struct{}{}}
	given := arguments{"VERSION": release.Version, "REVISION": release.Revision}
	word := func(text string) string {
		t.Helper()
		result, err := shlex.ProcessWordWithMatches(text, given)
		if err != nil || len(result.Unmatched) > 0 {
			t.Fatalf("%s: %v, unknown %v", text, err, result.Unmatched)
		}
		return result.Result
	}
	copies := 0
	for _, command := range final.Commands {
		switch command := command.(type) {
		case *instructions.ArgCommand:
			for _, arg := range command.Args {
				if _, known := given[arg.Key]; !known {
					t.Errorf("ARG %s of the last stage is not known here", arg.Key)
				}
			}
		case *instructions.LabelCommand:
			for _, label := range command.Labels {
				config.Labels[word(label.Key)] = word(label.Value)
			}
		case *instructions.EnvCommand:
			for _, variable := range command.Env {
				config.Env = append(config.Env, word(variable.Key)+"="+word(variable.Value))
			}
		case *instructions.WorkdirCommand:
			config.WorkingDir = word(command.Path)
		case *instructions.UserCommand:
			config.User = word(command.User)
		case *instructions.ExposeCommand:
			for _, port := range command.Ports {
				if !strings.Contains(port, "/") {
					port += "/tcp"
				}
				config.ExposedPorts[word(port)] = struct{}{}
			}
		case *instructions.EntrypointCommand:
			if command.PrependShell {
				t.Error("ENTRYPOINT asks for a shell, and there is none")
			}
			config.Entrypoint = command.CmdLine
		case *instructions.CopyCommand:
			copies++
			if command.DestPath != path || command.From != stages[0].Name || command.Chmod != "0555" || command.Chown != "0:0" ||
				!slices.Equal(command.SourcePaths, []string{"/program"}) {
				t.Errorf("%s: the image has %s, mode 0%o, of root, and nothing else", command, path, mode)
			}
		default:
			t.Errorf("%s: the image has nothing of that", command)
		}
	}
	if copies != 1 {
		t.Errorf("%d COPY, want the program alone", copies)
	}
	file, err := imageOf(t, standIn(t, "borealis"), release).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(config, file.Config); difference != "" {
		t.Errorf("the Dockerfile's image (-) is not the program's (+):\n%s", difference)
	}
}

// The build stage has the toolchain of rust-toolchain.toml and builds as make image does.
func TestTheDockerfileBuildsAsMakeDoes(t *testing.T) {
	stages, _ := dockerfile(t)
	toolchain := read(t, "../../../rust-toolchain.toml")
	_, rest, _ := strings.Cut(toolchain, `channel = "`)
	channel, _, _ := strings.Cut(rest, `"`)
	if base := stages[0].BaseName; channel == "" || !strings.HasPrefix(base, "rust:"+channel+"-") {
		t.Errorf("the build is FROM %s, and rust-toolchain.toml says %q", base, channel)
	}
	var runs []string
	for _, command := range stages[0].Commands {
		if run, ok := command.(*instructions.RunCommand); ok {
			runs = append(runs, strings.Join(run.CmdLine, " "))
		}
	}
	if !slices.Contains(runs, "image/build /program") {
		t.Errorf("the Dockerfile runs %q, and not image/build", runs)
	}
	if makefile := read(t, "../../../Makefile"); !strings.Contains(makefile, "image/build $(PROGRAM)") {
		t.Error("the Makefile does not run image/build")
	}
}

type arguments map[string]string

func (all arguments) Get(name string) (string, bool) {
	value, known := all[name]
	return value, known
}

func (all arguments) Keys() []string {
	var keys []string
	for key := range all {
		keys = append(keys, key)
	}
	return keys
}

func dockerfile(t *testing.T) ([]instructions.Stage, *shell.Lex) {
	t.Helper()
	result, err := parser.Parse(strings.NewReader(read(t, "../../../Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(result.AST, nil)
	if err != nil || len(stages) < 2 {
		t.Fatalf("%d stages, %v", len(stages), err)
	}
	return stages, shell.NewLex(result.EscapeToken)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
