// Kubeconfig files: one file with all that a client needs.

package certs

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
)

// kubeconfigFormat embeds the key material, so that the one file can be copied
// or mounted elsewhere and still works.
const kubeconfigFormat = `apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[3]s
users:
- name: %[4]s
  user:
    client-certificate-data: %[5]s
    client-key-data: %[6]s
contexts:
- name: %[1]s
  context:
    cluster: %[1]s
    user: %[4]s
current-context: %[1]s
`

// WriteKubeconfig writes a kubeconfig for the certificate pair called name.
func (a *Authority) WriteKubeconfig(path, cluster, server, user, name string) error {
	var parts []any
	parts = append(parts, cluster, server)
	for _, file := range []string{"ca.crt", name + ".crt", name + ".key"} {
		data, err := os.ReadFile(filepath.Join(a.folder, file))
		if err != nil {
			return err
		}
		parts = append(parts, base64.StdEncoding.EncodeToString(data))
		if file == "ca.crt" {
			parts = append(parts, fmt.Sprintf("%q", user))
		}
	}
	return os.WriteFile(path, fmt.Appendf(nil, kubeconfigFormat, parts...), 0o600)
}
