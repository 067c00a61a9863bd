// Who the components and users are: certificates and kubeconfigs.

package controlplane

import (
	"errors"
	"os"

	"borealis.dev/e2e/cluster/internal/certs"
	"borealis.dev/e2e/cluster/internal/runfolder"
)

// prepare makes the authority, all certificates, kubeconfigs and config files.
func (c *Cluster) prepare() error {
	authority, err := certs.Create(c.Folder.Certs(), "borealis-"+c.Folder.Name)
	if err != nil {
		return err
	}
	local := []string{"127.0.0.1", "localhost"}
	requests := map[string]certs.Request{
		"etcd":        {CommonName: "etcd", Hosts: local},
		"etcd-client": {CommonName: "kube-apiserver"},
		"component":   {CommonName: "component", Hosts: local},
		"kube-apiserver": {CommonName: "kube-apiserver", Hosts: append([]string{
			c.State.Address, APIServerClusterIP, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local"}, local...)},
		"kube-apiserver-kubelet": {CommonName: "kube-apiserver-kubelet", Groups: []string{"system:masters"}},
	}
	for name, request := range requests {
		if err := authority.Issue(name, request); err != nil {
			return err
		}
	}
	if err := certs.IssueSigningKey(c.Folder.Certs(), "service-accounts"); err != nil {
		return err
	}
	users := map[string][]string{
		"admin":                          {"system:masters"},
		"system:kube-controller-manager": nil,
		"system:kube-scheduler":          nil,
		"borealis:simulator":             nil,
	}
	for user, groups := range users {
		if _, err := c.IssueUser(user, groups); err != nil {
			return err
		}
	}
	return errors.Join(
		os.WriteFile(c.Folder.In("config", "scheduler.yaml"), []byte(c.schedulerConfig()), 0o600),
		os.WriteFile(c.Folder.In("config", "audit.yaml"), []byte(c.auditPolicy()), 0o600))
}

// IssueUser makes a client certificate and a kubeconfig for any user, and
// returns the path of the kubeconfig. What the user may do is RBAC's affair.
func (c *Cluster) IssueUser(user string, groups []string) (string, error) {
	authority, err := certs.Open(c.Folder.Certs())
	if err != nil {
		return "", err
	}
	path := c.Folder.Kubeconfig(user)
	name := userCert(user)
	if err := authority.Issue(name, certs.Request{CommonName: user, Groups: groups}); err != nil {
		return "", err
	}
	return path, authority.WriteKubeconfig(path, c.Folder.Name, c.State.Server(), user, name)
}

// userCert keeps users' files apart from those of the components.
func userCert(user string) string { return "user-" + runfolder.FileName(user) }
