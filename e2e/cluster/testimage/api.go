// Asking the API server from within a pod.

package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// serviceAccount is where a kubelet puts what a pod's client needs.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

// askAPIServer asks the API server for its version with the pod's own token,
// trusting only the authority that the pod was given.
func askAPIServer() int {
	authority, err := os.ReadFile(serviceAccount + "ca.crt")
	if err != nil {
		say("%v", err)
		return 1
	}
	token, err := os.ReadFile(serviceAccount + "token")
	if err != nil {
		say("%v", err)
		return 1
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	server := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	request, err := http.NewRequest(http.MethodGet, "https://"+server+"/version", nil)
	if err != nil {
		say("%v", err)
		return 1
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := client.Do(request)
	if err != nil {
		say("%v", err)
		return 1
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	say("%s %s: %s", server, response.Status, body)
	if response.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}
