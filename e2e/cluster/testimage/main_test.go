// When the program says that it is healthy.

package main

import (
	"testing"
	"time"
)

func TestHealthFollowsTheSettings(t *testing.T) {
	for _, c := range []struct {
		env     map[string]string
		age     time.Duration
		healthy bool
	}{
		{nil, 0, true},
		{map[string]string{"HEALTH": "fail"}, time.Hour, false},
		{map[string]string{"START_SECONDS": "5"}, 4 * time.Second, false},
		{map[string]string{"START_SECONDS": "5"}, 5 * time.Second, true},
		{map[string]string{"FAIL_HEALTH_AFTER": "2"}, time.Second, true},
		{map[string]string{"FAIL_HEALTH_AFTER": "2"}, 2 * time.Second, false},
		{map[string]string{"FAIL_HEALTH_AFTER": "soon"}, time.Hour, true},
		{map[string]string{"START_SECONDS": "1", "FAIL_HEALTH_AFTER": "3"}, 2 * time.Second, true},
	} {
		got := unhealthy(c.age, func(name string) string { return c.env[name] })
		if (got == "") != c.healthy {
			t.Errorf("%v at %v: %q", c.env, c.age, got)
		}
	}
}
