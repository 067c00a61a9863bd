// The certificates in use: real TLS between a server and its clients.

package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func pool(t *testing.T, folder string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		t.Fatal("the authority's certificate cannot be read back")
	}
	return pool
}

// serve starts a TLS server that demands a client certificate and answers with
// the user and groups it saw.
func serve(t *testing.T, folder string) *httptest.Server {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "server.crt"), filepath.Join(folder, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		subject := r.TLS.PeerCertificates[0].Subject
		_, _ = w.Write([]byte(subject.CommonName + "|" + strings.Join(subject.Organization, ",")))
	}))
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool(t, folder),
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, url, caFolder, pairFolder, name string) (string, error) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(pairFolder, name+".crt"), filepath.Join(pairFolder, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: pool(t, caFolder), Certificates: []tls.Certificate{pair},
	}}}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body := make([]byte, 200)
	n, _ := response.Body.Read(body)
	return string(body[:n]), nil
}

func TestMutualTLSWithinOneAuthorityOnly(t *testing.T) {
	ours, theirs := t.TempDir(), t.TempDir()
	a, err := Create(ours, "ours")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Create(theirs, "theirs")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		a.Issue("server", Request{CommonName: "server", Hosts: []string{"127.0.0.1", "localhost"}}),
		a.Issue("client", Request{CommonName: "ann", Groups: []string{"dev", "ops"}}),
		b.Issue("client", Request{CommonName: "eve", Groups: []string{"system:masters"}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	server := serve(t, ours)
	body, err := get(t, server.URL, ours, ours, "client")
	if err != nil || body != "ann|dev,ops" {
		t.Errorf("our client: got %q, %v", body, err)
	}
	if _, err := get(t, server.URL, ours, theirs, "client"); err == nil {
		t.Error("a client of another authority was let in")
	}
	if _, err := get(t, server.URL, theirs, ours, "client"); err == nil {
		t.Error("a client trusted a server of another authority")
	}
}

func TestKeysAndKubeconfigArePrivate(t *testing.T) {
	folder := t.TempDir()
	a, err := Create(folder, "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Issue("admin", Request{CommonName: "admin"}); err != nil {
		t.Fatal(err)
	}
	if err := IssueSigningKey(folder, "sa"); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(folder, "kubeconfig")
	if err := a.WriteKubeconfig(config, "c", "https://127.0.0.1:1", "admin", "admin"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.key", "admin.key", "sa.key", "kubeconfig"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode().Perm())
		}
	}
	text, _ := os.ReadFile(config)
	if strings.Contains(string(text), "%!") || strings.Contains(string(text), "insecure") {
		t.Errorf("bad kubeconfig:\n%s", text)
	}
}
