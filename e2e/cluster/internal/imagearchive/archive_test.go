// An archive is read back as an importer reads it.

package imagearchive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func unpack(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	reader := tar.NewReader(bytes.NewReader(data))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryReferenceInTheArchiveLeadsToItsContent(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "program")
	if err := os.WriteFile(program, []byte("#!not really a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	image := Image{Name: "registry.test/app:1", Program: program, Path: "/app", Command: []string{"/app", "run"}}
	var archives [2][]byte
	for i := range archives {
		path := filepath.Join(folder, "archive.tar")
		if err := Write(path, image); err != nil {
			t.Fatal(err)
		}
		archives[i], _ = os.ReadFile(path)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same image was written differently")
	}
	files := unpack(t, archives[0])
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 1 || manifest[0].RepoTags[0] != image.Name || len(manifest[0].Layers) != 1 {
		t.Fatalf("manifest: %+v", manifest)
	}
	var config struct {
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
		Config struct{ Entrypoint []string }
	}
	if err := json.Unmarshal(files[manifest[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	layer := files[manifest[0].Layers[0]]
	if config.Rootfs.DiffIDs[0] != "sha256:"+digest(layer) {
		t.Error("the config names another layer than the archive holds")
	}
	if got := unpack(t, layer)["app"]; string(got) != "#!not really a program" {
		t.Errorf("the layer holds %q", got)
	}
	if len(config.Config.Entrypoint) != 2 {
		t.Errorf("entrypoint %v", config.Config.Entrypoint)
	}
}
