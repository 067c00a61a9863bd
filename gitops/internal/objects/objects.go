// Package objects reads objects from folders of YAML files, as `kubectl get -o yaml` writes them.
package objects

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Sample is an object together with what is to be said of it, which stands in the name of its file:
// <what>.<kstatus>.<health in Argo CD>.yaml, such as rolled-back.Failed.Degraded.yaml.
type Sample struct {
	File    string
	Object  *unstructured.Unstructured
	Kstatus string
	Health  string
}

// Samples reads all YAML files below a folder, but for what stands beside them where Argo CD wants it: health_test.yaml, and
// the folders named actions.
func Samples(folder string) ([]Sample, error) {
	var all []Sample
	err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "actions" {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(file) != ".yaml" || entry.Name() == "health_test.yaml" {
			return err
		}
		sample, err := read(file)
		all = append(all, sample)
		return err
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s holds no samples: files named <what>.<kstatus>.<health>.yaml", folder)
	}
	slices.SortFunc(all, func(a, b Sample) int { return strings.Compare(a.File, b.File) })
	return all, err
}

func read(file string) (Sample, error) {
	parts := strings.Split(filepath.Base(file), ".")
	if len(parts) != 4 {
		return Sample{}, fmt.Errorf("%s: name it <what>.<kstatus>.<health>.yaml, such as web.Current.Healthy.yaml", file)
	}
	found, err := Read(file)
	if err != nil {
		return Sample{}, err
	}
	if len(found) != 1 {
		return Sample{}, fmt.Errorf("%s holds %d objects; write each to a file of its own", file, len(found))
	}
	return Sample{File: file, Object: found[0], Kstatus: parts[1], Health: parts[2]}, nil
}

// Read reads all objects of a file, `---` between them.
func Read(file string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	for _, part := range bytes.Split(append([]byte("\n"), text...), []byte("\n---")) {
		object := &unstructured.Unstructured{}
		json, err := yaml.YAMLToJSONStrict(part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if string(json) == "null" {
			continue
		}
		if err := object.UnmarshalJSON(json); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, object)
	}
	return all, nil
}
