package oci

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The greatest archive, and the greatest layer. Unit: bytes.
const sizeLimit = 25_000_000

// WriteArchive writes an image as one file that containerd, Docker and Podman load: an OCI layout, with the manifest.json of
// older tools beside it. It returns the size in bytes.
func WriteArchive(file, called string, image v1.Image) (int, error) {
	content, err := archive(called, image)
	if err != nil {
		return 0, err
	}
	if len(content) > sizeLimit {
		return 0, fmt.Errorf("the archive has %d bytes, more than the %d that are allowed: what has made it grow?", len(content), sizeLimit)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return 0, err
	}
	return len(content), os.WriteFile(file, content, 0o644)
}

func archive(called string, image v1.Image) ([]byte, error) {
	reference, err := name.NewTag(called)
	if err != nil {
		return nil, fmt.Errorf("--name: %w", err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	blobs := []func() (v1.Hash, []byte, error){
		func() (v1.Hash, []byte, error) { return blob(image.Digest, image.RawManifest) },
		func() (v1.Hash, []byte, error) { return blob(image.ConfigName, image.RawConfigFile) },
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	for _, layer := range layers {
		blobs = append(blobs, func() (v1.Hash, []byte, error) {
			return blob(layer.Digest, func() ([]byte, error) {
				packed, err := layer.Compressed()
				if err != nil {
					return nil, err
				}
				defer packed.Close()
				return io.ReadAll(packed)
			})
		})
	}

	out := &bytes.Buffer{}
	tape := tar.NewWriter(out)
	put := func(path string, content []byte) error {
		if err := tape.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, Size: int64(len(content)), Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		_, err := tape.Write(content)
		return err
	}
	putJSON := func(path string, content any) error {
		text, err := json.Marshal(content)
		if err != nil {
			return err
		}
		return put(path, text)
	}
	if err := putJSON("oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}); err != nil {
		return nil, err
	}
	var legacy []string
	for i, one := range blobs {
		digest, content, err := one()
		if err != nil {
			return nil, err
		}
		path := "blobs/" + digest.Algorithm + "/" + digest.Hex
		if err := put(path, content); err != nil {
			return nil, err
		}
		if i > 0 {
			legacy = append(legacy, path)
		}
	}
	index, err := index(image, manifest, reference)
	if err != nil {
		return nil, err
	}
	if err := putJSON("index.json", index); err != nil {
		return nil, err
	}
	older := []map[string]any{{"Config": legacy[0], "RepoTags": []string{called}, "Layers": legacy[1:]}}
	if err := putJSON("manifest.json", older); err != nil {
		return nil, err
	}
	err = tape.Close()
	return out.Bytes(), err
}

// index says what the layout holds, and by which full name containerd and others take it up: docker.io/library/borealis for
// borealis.
func index(image v1.Image, manifest *v1.Manifest, reference name.Tag) (*v1.IndexManifest, error) {
	digest, err := image.Digest()
	if err != nil {
		return nil, err
	}
	size, err := image.Size()
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	return &v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests: []v1.Descriptor{{
			MediaType: manifest.MediaType,
			Size:      size,
			Digest:    digest,
			Platform:  &v1.Platform{OS: config.OS, Architecture: config.Architecture},
			Annotations: map[string]string{
				"io.containerd.image.name":          strings.TrimPrefix(reference.Name(), "index."),
				"org.opencontainers.image.ref.name": reference.TagStr(),
			},
		}},
	}, nil
}

func blob(digest func() (v1.Hash, error), content func() ([]byte, error)) (v1.Hash, []byte, error) {
	hash, err := digest()
	if err != nil {
		return hash, nil, err
	}
	bytes, err := content()
	return hash, bytes, err
}
