// Package runfolder knows where a cluster keeps its files and what it has
// recorded about itself. Everything of a cluster lies below one folder.
package runfolder

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// Folder is the run folder of one cluster.
type Folder struct {
	Name string
	Path string
}

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Base is the folder that holds the run folders of all clusters:
// the one given, or $BOREALIS_RUN, or /tmp/borealis-UID.
func Base(given string) string {
	if given == "" {
		given = os.Getenv("BOREALIS_RUN")
	}
	if given == "" {
		given = fmt.Sprintf("/tmp/borealis-%d", os.Getuid())
	}
	if absolute, err := filepath.Abs(given); err == nil {
		given = absolute
	}
	// A link in the path would make the paths in the kernel's tables differ
	// from ours, and down would not find what to clean.
	if real, err := filepath.EvalSymlinks(given); err == nil {
		given = real
	}
	return given
}

// Open names the run folder of a cluster; it need not exist.
func Open(base, name string) (Folder, error) {
	if !validName.MatchString(name) {
		return Folder{}, fmt.Errorf("cluster name %q: use at most 32 lower-case letters, digits and inner hyphens", name)
	}
	return Folder{Name: name, Path: filepath.Join(Base(base), name)}, nil
}

// Create makes the folder and those in it. It refuses a base folder that
// belongs to someone else, who could otherwise read or swap the keys.
func (f Folder) Create() error {
	base := filepath.Dir(f.Path)
	if err := os.MkdirAll(base, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(base)
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Getuid() || !info.IsDir() {
		return fmt.Errorf("%s belongs to another user", base)
	}
	for _, path := range []string{f.Path, f.Certs(), f.In("logs"), f.In("config"), f.In("kubeconfigs")} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// In is the path of a file or folder in the run folder.
func (f Folder) In(parts ...string) string {
	return filepath.Join(append([]string{f.Path}, parts...)...)
}

// Certs is the folder of the certificate authority and all certificates.
func (f Folder) Certs() string { return f.In("certs") }

// Cert is the path of a file in Certs.
func (f Folder) Cert(file string) string { return f.In("certs", file) }

// Log is where a component writes its output.
func (f Folder) Log(component string) string { return f.In("logs", component+".log") }

// Kubeconfig is the kubeconfig of a user; admin's has the plain name.
func (f Folder) Kubeconfig(user string) string {
	if user == "admin" {
		return f.In("kubeconfig")
	}
	return f.In("kubeconfigs", FileName(user))
}

// FileName makes a user name such as system:kube-scheduler safe as a file name.
// Where that loses something, a hash keeps two names apart.
func FileName(user string) string {
	safe := regexp.MustCompile(`[^A-Za-z0-9._-]+`).ReplaceAllString(user, "-")
	if safe == user && user[0] != '.' {
		return safe
	}
	return "user-" + safe + "-" + hash(user)
}

// TagPrefix is how every tag begins.
const TagPrefix = "bor"

// Tag is a short name that is the same for the same run folder and differs
// between clusters: network namespaces and interfaces are called by it, so that
// they can be found and removed without any record.
func (f Folder) Tag() string { return TagPrefix + hash(f.Path) }

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// Exists says whether there is a run folder.
func (f Folder) Exists() bool {
	_, err := os.Stat(f.Path)
	return err == nil
}

// List returns the clusters that have a run folder in base.
func List(base string) []Folder {
	entries, err := os.ReadDir(Base(base))
	if err != nil {
		return nil
	}
	var found []Folder
	for _, entry := range entries {
		if folder, err := Open(base, entry.Name()); err == nil && entry.IsDir() {
			found = append(found, folder)
		}
	}
	return found
}
