// Package imagearchive writes an image of one static program, in the layout of
// "docker save", which every runtime can import. No registry and no container
// tool takes part.
package imagearchive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"runtime"
	"time"
)

// Image is what the archive holds: one program and how it is run.
type Image struct {
	Name    string // with a tag: registry.test/app:1
	Program string // path of the program on this machine
	Path    string // where it lies in the image, with a leading slash
	Command []string
	Env     []string // NAME=value, which a pod may set otherwise
}

// Write writes the archive to a file. The same input gives the same bytes.
func Write(path string, image Image) error {
	program, err := os.ReadFile(image.Program)
	if err != nil {
		return err
	}
	layer, err := pack([]entry{{image.Path[1:], program, 0o755}})
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"created":      time.Unix(0, 0).UTC(),
		"config":       map[string]any{"Entrypoint": image.Command, "Env": append([]string{"PATH=/"}, image.Env...)},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
	})
	if err != nil {
		return err
	}
	layerName, configName := digest(layer)+"/layer.tar", digest(config)+".json"
	manifest, err := json.Marshal([]map[string]any{{
		"Config": configName, "RepoTags": []string{image.Name}, "Layers": []string{layerName},
	}})
	if err != nil {
		return err
	}
	archive, err := pack([]entry{
		{configName, config, 0o644}, {layerName, layer, 0o644}, {"manifest.json", manifest, 0o644},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, archive, 0o600)
}

type entry struct {
	name string
	data []byte
	mode int64
}

func pack(entries []entry) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Size: int64(len(e.data)), Mode: e.mode, ModTime: time.Unix(0, 0)}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(e.data); err != nil {
			return nil, err
		}
	}
	err := writer.Close()
	return buffer.Bytes(), err
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
