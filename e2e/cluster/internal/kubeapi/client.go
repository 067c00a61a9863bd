// Package kubeapi is a very small client of the API server: plain JSON over
// HTTP with client certificates. The harness needs few calls, and without the
// usual client library its own packages compile and test in a second.
package kubeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Object is any Kubernetes object.
type Object = map[string]any

// Client talks to one server as one user.
type Client struct {
	server string
	http   *http.Client
}

// StatusError is an answer other than success.
type StatusError struct {
	Code    int
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

// New makes a client that trusts the authority in caFile only.
func New(server, caFile, certFile, keyFile string) (*Client, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return &Client{server: server, http: &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			// A proxy of the environment has no business between us and a local server.
			Proxy:               nil,
			TLSClientConfig:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
			MaxIdleConnsPerHost: 32,
		},
	}}, nil
}

// Do sends a request; body and answer may be nil.
func (c *Client) Do(ctx context.Context, method, path, contentType string, body, answer any) error {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, reader)
	if err != nil {
		return err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		var status struct{ Message string }
		if json.Unmarshal(data, &status) != nil || status.Message == "" {
			status.Message = string(data)
		}
		return &StatusError{Code: response.StatusCode, Message: status.Message}
	}
	if answer == nil { // also the health endpoints, which answer in plain text
		return nil
	}
	return json.Unmarshal(data, answer)
}

// Get reads an object or a list.
func (c *Client) Get(ctx context.Context, path string, answer any) error {
	return c.Do(ctx, http.MethodGet, path, "", nil, answer)
}

// Create makes an object; one that is there already is left as it is.
func (c *Client) Create(ctx context.Context, path string, object Object) error {
	err := c.Do(ctx, http.MethodPost, path, "application/json", object, nil)
	if HasCode(err, http.StatusConflict) {
		return nil
	}
	return err
}

// MergePatch changes the named fields of an object.
func (c *Client) MergePatch(ctx context.Context, path string, patch Object) error {
	return c.Do(ctx, http.MethodPatch, path, "application/merge-patch+json", patch, nil)
}

// StrategicPatch is MergePatch with Kubernetes' own way of merging lists.
func (c *Client) StrategicPatch(ctx context.Context, path string, patch Object) error {
	return c.Do(ctx, http.MethodPatch, path, "application/strategic-merge-patch+json", patch, nil)
}

// HasCode says whether the server answered with this status code.
func HasCode(err error, code int) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == code
}
