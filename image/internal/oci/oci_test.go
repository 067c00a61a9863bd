package oci

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var release = Release{Version: "0.1.0", Revision: "0123abc", Time: time.Unix(1_782_000_000, 0).UTC()}

// standIn is a static program that says what it is told to, in the operator's place.
func standIn(t *testing.T, says string) string {
	t.Helper()
	folder := t.TempDir()
	source := "package main\n\nfunc main() { println(\"" + says + "\") }\n"
	if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", "borealis", "main.go")
	build.Dir = folder
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return filepath.Join(folder, "borealis")
}

func imageOf(t *testing.T, program string, release Release) v1.Image {
	t.Helper()
	image, err := Image(program, release)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func archiveOf(t *testing.T, program string, release Release) (string, []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image", "borealis.tar")
	size, err := WriteArchive(file, "borealis:latest", imageOf(t, program, release))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil || len(content) != size {
		t.Fatalf("%d bytes, said %d: %v", len(content), size, err)
	}
	return file, content
}

func TestSameProgramSameBytes(t *testing.T) {
	program := standIn(t, "borealis")
	_, first := archiveOf(t, program, release)
	again := filepath.Join(t.TempDir(), "another-name")
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(again, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(again, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, second := archiveOf(t, again, release); !bytes.Equal(first, second) {
		t.Error("the same program in another folder, of another name, time and mode makes other bytes")
	}

	others := map[string]Release{"version": release, "revision": release, "time": release}
	for what, other := range others {
		switch what {
		case "version":
			other.Version = "0.2.0"
		case "revision":
			other.Revision = "fff"
		case "time":
			other.Time = other.Time.Add(time.Second)
		}
		if _, differs := archiveOf(t, program, other); bytes.Equal(first, differs) {
			t.Errorf("another %s makes the same bytes", what)
		}
	}
	if _, differs := archiveOf(t, standIn(t, "another"), release); bytes.Equal(first, differs) {
		t.Error("another program makes the same bytes")
	}
}

// Both halves of the archive are read by a library that did not write them, and every digest and size in them is right.
func TestTheArchiveIsAnImage(t *testing.T) {
	program := standIn(t, "borealis")
	file, content := archiveOf(t, program, release)
	want, err := imageOf(t, program, release).Digest()
	if err != nil {
		t.Fatal(err)
	}

	folder := t.TempDir()
	unpack(t, content, folder)
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("the OCI layout: %v", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("index.json: %v, %v", manifest, err)
	}
	found := manifest.Manifests[0]
	if found.Digest != want {
		t.Errorf("the layout holds %s, want %s", found.Digest, want)
	}
	if called := found.Annotations["io.containerd.image.name"]; called != "docker.io/library/borealis:latest" {
		t.Errorf("containerd would call it %q", called)
	}

	tag, err := name.NewTag("borealis:latest")
	if err != nil {
		t.Fatal(err)
	}
	older, err := tarball.ImageFromPath(file, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(older); err != nil {
		t.Errorf("manifest.json: %v", err)
	}
	config, err := older.ConfigName()
	if wanted, _ := imageOf(t, program, release).ConfigName(); err != nil || config != wanted {
		t.Errorf("manifest.json has the config %s, want %s, %v", config, wanted, err)
	}
}

// The one layer holds the program and nothing else, as it was, and it runs.
func TestTheLayerHoldsTheProgram(t *testing.T) {
	program := standIn(t, "it runs")
	layers, err := imageOf(t, program, release).Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	text, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	headers := unpack(t, text, folder)
	if len(headers) != 1 || headers[0].Name != "borealis" || headers[0].Mode != 0o555 || headers[0].Uid != 0 || !headers[0].ModTime.Equal(release.Time) {
		t.Errorf("the layer holds %+v", headers)
	}
	if err := os.Chmod(filepath.Join(folder, "borealis"), 0o755); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(filepath.Join(folder, "borealis")).CombinedOutput()
	if err != nil || string(said) != "it runs\n" {
		t.Errorf("it says %q, %v", said, err)
	}
}

func TestWhatCannotRunInTheImageIsRefused(t *testing.T) {
	folder := t.TempDir()
	dynamic := filepath.Join(folder, "dynamic")
	compile := exec.Command("cc", "-x", "c", "-o", dynamic, "-")
	compile.Stdin = strings.NewReader("int main(void) { return 0; }\n")
	if text, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	script := filepath.Join(folder, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for program, words := range map[string]string{dynamic: "is not static", script: "is no program for Linux", filepath.Join(folder, "none"): "no such file"} {
		if _, err := Image(program, release); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", program, err, words)
		}
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	program := standIn(t, "large")
	file, err := os.OpenFile(program, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(file, rand.Reader, sizeLimit); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Image(program, release); err == nil || !strings.Contains(err.Error(), "more than the 25000000 that are allowed") {
		t.Errorf("got %v", err)
	}
}

func unpack(t *testing.T, content []byte, folder string) []*tar.Header {
	t.Helper()
	var headers []*tar.Header
	tape := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := tape.Next()
		if err == io.EOF {
			return headers
		}
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, header)
		file := filepath.Join(folder, filepath.FromSlash(header.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(tape)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
