// Command testimage is what runs in the containers of the real node: a small
// HTTP server that fails when and how a test tells it to, and, as "pause", the
// container that holds a pod's network together. Its settings are environment
// variables, since those are what a pod template sets most easily:
//
//	HEALTH=ok|fail          what /health says (default ok)
//	START_SECONDS=N         /health fails for the first N seconds
//	FAIL_HEALTH_AFTER=N     /health fails from N seconds on
//	EXIT_AFTER=N            end after N seconds, with status EXIT_CODE (default 0)
//	TERM_EXIT_CODE=N        status when asked to end by SIGTERM (default 0)
//
// As "api" it asks the API server, as any client in a pod would, and ends.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "pause" {
		pause()
	}
	if len(os.Args) > 1 && os.Args[1] == "api" {
		os.Exit(askAPIServer())
	}
	begin := time.Now()
	say("starts as process %d with arguments %q", os.Getpid(), os.Args[1:])
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if reason := unhealthy(time.Since(begin), os.Getenv); reason != "" {
			http.Error(w, reason, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	// A test can read here what the pod was given.
	http.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, strings.Join(os.Environ(), "\n"))
	})
	// And here what was mounted into it.
	http.Handle("/files/", http.StripPrefix("/files", http.FileServer(http.Dir("/"))))
	go func() {
		say("cannot serve: %v", http.ListenAndServe(":8080", nil))
		os.Exit(1)
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	var exit <-chan time.Time
	if seconds, set := number(os.Getenv, "EXIT_AFTER"); set {
		exit = time.After(seconds)
	}
	select {
	case which := <-stop:
		end("TERM_EXIT_CODE", which.String())
	case <-exit:
		end("EXIT_CODE", "its time is over")
	}
}

// unhealthy is why the program is unhealthy at this age, or empty.
func unhealthy(age time.Duration, env func(string) string) string {
	if env("HEALTH") == "fail" {
		return "HEALTH=fail"
	}
	if start, set := number(env, "START_SECONDS"); set && age < start {
		return "still starting"
	}
	if limit, set := number(env, "FAIL_HEALTH_AFTER"); set && age >= limit {
		return "FAIL_HEALTH_AFTER is over"
	}
	return ""
}

func number(env func(string) string, name string) (time.Duration, bool) {
	seconds, err := strconv.ParseFloat(env(name), 64)
	return time.Duration(seconds * float64(time.Second)), err == nil
}

func end(variable, reason string) {
	code, _ := strconv.Atoi(os.Getenv(variable))
	say("ends with status %d: %s", code, reason)
	os.Exit(code)
}

// pause waits for the end. As the first process of a pod it also reaps the
// children that others leave behind.
func pause() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	child := make(chan os.Signal, 1)
	signal.Notify(child, syscall.SIGCHLD)
	for {
		select {
		case <-stop:
			os.Exit(0)
		case <-child:
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
					break
				}
			}
		}
	}
}

func say(format string, args ...any) {
	fmt.Printf("testimage: "+format+"\n", args...)
}
