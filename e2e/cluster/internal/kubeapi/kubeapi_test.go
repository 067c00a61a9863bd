// Answers of a server, good and bad, and waiting for them.

package kubeapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func testClient(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return &Client{server: server.URL, http: server.Client()}
}

func TestErrorsCarryTheServersOwnWords(t *testing.T) {
	client := testClient(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"kind":"Status","message":"it exists"}`))
	})
	err := client.MergePatch(t.Context(), "/x", Object{})
	if !HasCode(err, 409) || HasCode(err, 404) || !strings.Contains(err.Error(), "it exists") {
		t.Errorf("got %v", err)
	}
	if err := client.Create(t.Context(), "/x", Object{}); err != nil {
		t.Errorf("an object that is there already is no failure: %v", err)
	}
}

func TestUntilGoesOnUntilItWorks(t *testing.T) {
	tries := 0
	err := Until(t.Context(), "it", 5*time.Second, func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil || tries != 3 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

func TestUntilEndsEarlyWhenNothingCanHelp(t *testing.T) {
	begin := time.Now()
	err := Until(t.Context(), "it", time.Minute, func(context.Context) error {
		return Final{errors.New("broken")}
	})
	if err == nil || !strings.Contains(err.Error(), "broken") || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestUntilSaysWhatWasWrongLast(t *testing.T) {
	err := Until(t.Context(), "it", 250*time.Millisecond, func(context.Context) error {
		return errors.New("still closed")
	})
	if err == nil || !strings.Contains(err.Error(), "still closed") {
		t.Errorf("got %v", err)
	}
}
