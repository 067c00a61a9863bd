// Command image makes the operator's container image of its static program, without a container engine or a registry.
// It is the image of the Dockerfile at the root; a test compares the two.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	"borealis.dev/image/internal/oci"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run() error {
	program := flag.String("program", "", "the static program, such as target/image/borealis-amd64")
	output := flag.String("output", "", "the archive to write, such as target/image/borealis-amd64.tar")
	name := flag.String("name", "borealis:latest", "what the image is called once it is loaded")
	version := flag.String("version", "", "version of the operator")
	revision := flag.String("revision", "", "commit it was built from")
	flag.Parse()
	for name, value := range map[string]string{"program": *program, "output": *output, "version": *version, "revision": *revision} {
		if value == "" {
			return fmt.Errorf("--%s is not given; --help lists the flags", name)
		}
	}
	epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is %q; set it to the seconds since 1970 of the commit", os.Getenv("SOURCE_DATE_EPOCH"))
	}
	image, err := oci.Image(*program, oci.Release{Version: *version, Revision: *revision, Time: time.Unix(epoch, 0).UTC()})
	if err != nil {
		return err
	}
	size, err := oci.WriteArchive(*output, *name, image)
	if err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	fmt.Printf("%s\n%s, %.1f MB, in %s\n", digest, *name, float64(size)/1e6, *output)
	return nil
}
