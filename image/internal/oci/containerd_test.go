package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	importer "github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/plugins/content/local"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// `ctr images import` takes the archive up by containerd's own importer: under the name that a Pod asks for, with the digest
// that was printed, and every part of it there.
func TestContainerdTakesTheArchiveUp(t *testing.T) {
	program := standIn(t, "borealis")
	_, text := archiveOf(t, program, release)
	want, err := imageOf(t, program, release).Digest()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	store, err := local.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	descriptor, err := importer.ImportIndex(ctx, store, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	blob, err := content.ReadBlob(ctx, store, descriptor)
	if err != nil {
		t.Fatal(err)
	}
	index := ocispec.Index{}
	if err := json.Unmarshal(blob, &index); err != nil || len(index.Manifests) != 1 {
		t.Fatalf("%s: %v", blob, err)
	}
	found := index.Manifests[0]
	if called := found.Annotations[images.AnnotationImageName]; called != "docker.io/library/borealis:latest" {
		t.Errorf("it is called %q", called)
	}
	if found.Digest.String() != want.String() {
		t.Errorf("its digest is %s, want %s", found.Digest, want)
	}
	manifest, err := images.Manifest(ctx, store, found, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range append(manifest.Layers, manifest.Config) {
		if _, err := store.Info(ctx, part.Digest); err != nil {
			t.Errorf("%s %s: %v", part.MediaType, part.Digest, err)
		}
	}
}
