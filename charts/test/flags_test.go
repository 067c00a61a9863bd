package charts

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What each flag is by a value, and where its default is not the program's own.
var flags = map[string]struct{ values, argument, instead string }{
	"cluster-name":         {"operator: {clusterName: east}", "--cluster-name=east", ""},
	"lease-name":           {"lease: {name: other}", "--lease-name=other", ""},
	"lease-duration":       {"lease: {duration: 30s}", "--lease-duration=30s", ""},
	"lease-renew-deadline": {"lease: {renewDeadline: 9s}", "--lease-renew-deadline=9s", ""},
	"lease-retry-period":   {"lease: {retryPeriod: 1s}", "--lease-retry-period=1s", ""},
	"workers":              {"operator: {workers: 9}", "--workers=9", ""},
	"in-flight":            {"operator: {inFlight: 99}", "--in-flight=99", ""},
	"call-timeout":         {"operator: {callTimeout: 9s}", "--call-timeout=9s", ""},
	"resync":               {"operator: {resync: 9m}", "--resync=9m", ""},
	"secret-interval":      {"operator: {secretInterval: 9s}", "--secret-interval=9s", ""},
	"kept-cap":             {"operator: {keptCap: 30000000}", "--kept-cap=30000000", ""},
	"check-hosts":          {"operator: {checkHosts: [a, '*.b:1']}", "--check-hosts=a,*.b:1", "absent"},
	"preemption":           {"operator: {preemption: dry-run}", "--preemption=dry-run", ""},
	"slot-hold":            {"operator: {slotHold: 9m}", "--slot-hold=9m", ""},
	"victims-per-minute":   {"operator: {victimsPerMinute: 0}", "--victims-per-minute=0", ""},
	"listen":               {"http: {address: '[::]', port: 9999}", "--listen=[::]:9999", ""},
	"otlp-endpoint":        {"traces: {endpoint: 'http://c:4318'}", "--otlp-endpoint=http://c:4318", "absent"},
	"trace-ratio":          {"traces: {ratio: 0.5}", "--trace-ratio=0.5", ""},
	"log-format":           {"log: {format: text}", "--log-format=text", "--log-format=json"},
	"log":                  {"log: {filter: 'debug,kube=info'}", "--log=debug,kube=info", ""},
}

// Flags that the Pod's own fields answer, by the variable that Settings names for them.
var ofThePod = map[string]string{"POD_NAMESPACE": "metadata.namespace", "POD_NAME": "metadata.name"}

type setting struct{ flag, env, standard string }

// settings reads the program's flags from its source.
func settings(t *testing.T) []setting {
	text := read(t, "src", "settings.rs")
	text = text[strings.Index(text, "pub struct Settings"):]
	text = text[:strings.Index(text, "\n}\n")]
	field := regexp.MustCompile(`(?s)#\[arg\((long.*?)\)\]\s+pub (\w+):`)
	env := regexp.MustCompile(`env = "(\w+)"`)
	standard := regexp.MustCompile(`default_value(?:_t)? = (?:"([^"]*)"|(?:\w+::)?([\w.]+))`)
	var out []setting
	for _, found := range field.FindAllStringSubmatch(text, -1) {
		one := setting{flag: strings.ReplaceAll(found[2], "_", "-")}
		if of := env.FindStringSubmatch(found[1]); of != nil {
			one.env = of[1]
		}
		if of := standard.FindStringSubmatch(found[1]); of != nil {
			one.standard = of[1] + strings.ToLower(of[2])
		}
		out = append(out, one)
	}
	if fields := strings.Count(text, "\n    pub "); fields != len(out) || fields < 20 {
		t.Fatalf("%d of %d settings could be read", len(out), fields)
	}
	return out
}

func arguments(t *testing.T, values string) []string {
	t.Helper()
	var out []string
	for _, argument := range at(t, operator(t, values), "args").([]any) {
		out = append(out, argument.(string))
	}
	return out
}

// operator is the operator's container.
func operator(t *testing.T, values string) any {
	t.Helper()
	all := objects(t, render(t, parse(t, values))["templates/40-operator.yaml"])
	return at(t, find(t, all, "Deployment", "borealis"), "spec", "template", "spec", "containers", 0)
}

func TestEveryFlagIsAValue(t *testing.T) {
	standard := arguments(t, "{}")
	known := 0
	for _, one := range settings(t) {
		if from, is := ofThePod[one.env]; is {
			fields := ""
			for _, each := range at(t, operator(t, "{}"), "env").([]any) {
				if at(t, each, "name") == one.env {
					fields = at(t, each, "valueFrom", "fieldRef", "fieldPath").(string)
				}
			}
			if fields != from {
				t.Errorf("--%s: %s is %q, not %s", one.flag, one.env, fields, from)
			}
			continue
		}
		flag, is := flags[one.flag]
		if !is {
			t.Errorf("--%s: no value of the chart reaches it; add one, and a line to this table", one.flag)
			continue
		}
		known++
		if got := arguments(t, flag.values); !slices.Contains(got, flag.argument) {
			t.Errorf("%s: %s is not among %v", flag.values, flag.argument, got)
		}
		switch want := "--" + one.flag + "=" + one.standard; {
		case flag.instead == "absent":
			if slices.ContainsFunc(standard, func(got string) bool { return strings.HasPrefix(got, "--"+one.flag+"=") }) {
				t.Errorf("--%s is given though nothing is said", one.flag)
			}
		case flag.instead != "":
			if !slices.Contains(standard, flag.instead) {
				t.Errorf("%s is not among %v", flag.instead, standard)
			}
		case !slices.Contains(standard, want):
			t.Errorf("%s, the program's own default, is not among %v", want, standard)
		}
	}
	if known != len(flags) {
		t.Errorf("%d flags are known here, and the program has %d of them", len(flags), known)
	}
	for _, argument := range standard {
		name, _, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		if _, is := flags[name]; !is {
			t.Errorf("%s: the program has no such flag", argument)
		}
	}
}

func TestPreemptionIsAWordHoweverItIsWritten(t *testing.T) {
	for value, want := range map[string]string{"on": "on", "off": "off", "true": "on", "false": "off", "'off'": "off"} {
		if got := arguments(t, "operator: {preemption: "+value+"}"); !slices.Contains(got, "--preemption="+want) {
			t.Errorf("%s: %v", value, got)
		}
	}
}
