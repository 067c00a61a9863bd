package oci

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
)

// Release is what is said of a build.
type Release struct {
	Version  string
	Revision string
	// When what it was built from was committed: the only time in the image.
	Time time.Time
}

// What the image is beside its program. The Dockerfile says the same.
const (
	path   = "/borealis"
	mode   = 0o555
	user   = "65532:65532"
	port   = "8080/tcp"
	labels = "org.opencontainers.image."
)

func config(release Release) v1.Config {
	return v1.Config{
		User:         user,
		Entrypoint:   []string{path},
		WorkingDir:   "/",
		ExposedPorts: map[string]struct{}{port: {}},
		Env:          []string{"PATH=/"},
		Labels: map[string]string{
			labels + "title":       "borealis",
			labels + "description": "Apache Aurora's semantics for Kubernetes: the operator",
			labels + "licenses":    "Apache-2.0",
			labels + "version":     release.Version,
			labels + "revision":    release.Revision,
		},
	}
}

// Image is the program at the root of nothing else.
func Image(program string, release Release) (v1.Image, error) {
	machine, err := architecture(program)
	if err != nil {
		return nil, err
	}
	packed, err := pack(program, release.Time)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS:           "linux",
		Architecture: machine,
		Created:      v1.Time{Time: release.Time},
		Config:       config(release),
		RootFS:       v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: release.Time}, CreatedBy: "COPY borealis " + path},
	})
}

// pack makes the layer. What compresses it is a library of a fixed version: Go's own may pack otherwise with each release,
// and the digest would change with it.
func pack(program string, at time.Time) ([]byte, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	packed := &bytes.Buffer{}
	squeeze, err := gzip.NewWriterLevel(packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	file := tar.NewWriter(squeeze)
	header := &tar.Header{Typeflag: tar.TypeReg, Name: path[1:], Mode: mode, Size: int64(len(content)), ModTime: at, Format: tar.FormatUSTAR}
	if err := file.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := file.Write(content); err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	if err := squeeze.Close(); err != nil {
		return nil, err
	}
	if packed.Len() > sizeLimit {
		return nil, fmt.Errorf("%s makes a layer of %d bytes, more than the %d that are allowed: what has made it grow?", program, packed.Len(), sizeLimit)
	}
	return packed.Bytes(), nil
}
