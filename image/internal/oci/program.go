// Package oci makes an image of one static program: same program, same bytes.
package oci

import (
	"debug/elf"
	"fmt"
)

// architecture is what a program runs on, in the words of images. A program that needs a loader or a library can't run in
// an image that holds nothing else.
func architecture(path string) (string, error) {
	program, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s is no program for Linux: %w", path, err)
	}
	defer program.Close()
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			return "", fmt.Errorf("%s is not static: it asks for a loader; build it for a musl target, as make image does", path)
		}
	}
	// A static program may have a dynamic section, of relocations only.
	if libraries, err := program.ImportedLibraries(); err == nil && len(libraries) > 0 {
		return "", fmt.Errorf("%s is not static: it needs %v; build it for a musl target, as make image does", path, libraries)
	}
	switch program.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	}
	return "", fmt.Errorf("%s is for %s; images are made for amd64 and arm64", path, program.Machine)
}
