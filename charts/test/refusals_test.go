package charts

import (
	"strings"
	"testing"

	"borealis.dev/charts/test/rendered"
)

// Each has to be refused, in words that name the value.
var refused = []struct{ values, words string }{
	{"replicas: 0", "podDisruptionBudget.enabled: true, but replicas is 0"},
	{"replicas: -1", "at '/replicas': minimum: got -1, want 0"},
	{"replicas: two", "at '/replicas': got string, want integer"},
	{"replcas: 3", "additional properties 'replcas' not allowed"},
	{"operator: {worker: 3}", "at '/operator': additional properties 'worker' not allowed"},
	{"operator: {workers: 0}", "at '/operator/workers': minimum"},
	{"operator: {inFlight: 0}", "at '/operator/inFlight': minimum"},
	{"operator: {resync: soon}", "at '/operator/resync': 'soon' does not match pattern"},
	{"operator: {resync: 0s}", "at '/operator/resync': '0s' does not match pattern"},
	{"operator: {preemption: maybe}", "at '/operator/preemption': value must be one of"},
	{"operator: {clusterName: a/b}", "at '/operator/clusterName': 'a/b' does not match pattern"},
	{"operator: {checkHosts: ['http://x']}", "at '/operator/checkHosts/0': 'http://x' does not match pattern"},
	{"lease: {renewDeadline: 15s}", "lease.renewDeadline: 15s: use less than lease.duration (15s)"},
	{"lease: {retryPeriod: 5s}", "lease.retryPeriod: 5s: use less than half of lease.renewDeadline (10s)"},
	{"lease: {duration: 1500ms, renewDeadline: 1s, retryPeriod: 100ms}", "lease.duration: 1500ms: use whole seconds"},
	{"lease: {duration: 10s}", "lease.renewDeadline: 10s: use less than lease.duration (10s)"},
	{"lease: {duration: 1m, renewDeadline: 60s}", "lease.renewDeadline: 60s: use less than lease.duration (1m)"},
	{"lease: {name: A}", "at '/lease/name': 'A' does not match pattern"},
	{"image: {digest: latest}", "at '/image/digest': 'latest' does not match pattern"},
	{"image: {tag: 'a b'}", "at '/image/tag'"},
	{"image: {pullPolicy: Sometimes}", "at '/image/pullPolicy'"},
	{"serviceAccount: {name: default}", "serviceAccount.name: default is the account of every Pod"},
	{"log: {format: xml}", "at '/log/format'"},
	{"http: {port: 80}", "at '/http/port': minimum"},
	{"terminationGracePeriodSeconds: 10", "at '/terminationGracePeriodSeconds': minimum: got 10, want 15"},
	{"podDisruptionBudget: {maxUnavailable: 0}", "at '/podDisruptionBudget/maxUnavailable'"},
	{"extraEnv: {POD_NAME: a}", "extraEnv.POD_NAME: the chart sets it"},
	{"extraEnv: {A-B: a}", "invalid propertyName 'A-B'"},
	{"{caBundle: {configMap: a}, extraEnv: {SSL_CERT_FILE: b}}", "extraEnv.SSL_CERT_FILE: caBundle.configMap sets it as well"},
	{"commonLabels: {app.kubernetes.io/name: a}", "commonLabels.app.kubernetes.io/name: the chart sets it"},
	{"podLabels: {app.kubernetes.io/version: a}", "podLabels.app.kubernetes.io/version: the chart sets it"},
	{"tiers: {preemptible: null}", "tiers.preemptible: it is missing"},
	{"tiers: {gold: {preemptible: true}}", "at '/tiers/gold': missing property 'band'"},
	{"tiers: {gold: {preemptible: true, band: 1, colour: red}}", "at '/tiers/gold': additional properties 'colour' not allowed"},
	{"tiers: {Gold: {preemptible: true, band: 1}}", "'Gold' does not match pattern"},
	{"tiers: {revocable: {preemptible: false}}", "tiers.revocable.revocable: true, but preemptible is false"},
	{"tiers: {preferred: {preemption: Scheduler, dryRun: true}}", "tiers.preferred.dryRun: true, but preemption is Scheduler"},
	{"roles: {web: {namespaces: {}, tiers: [gold, preemptible]}}",
		"roles.web.tiers: there is no tier gold among tiers (preemptible, preferred, revocable)"},
	{"roles: {web: {namespaces: {}, defaultTier: gold}}", "roles.web.defaultTier: there is no tier gold among tiers"},
	{"roles: {web: {namespaces: {}, tiers: [preferred]}}",
		"roles.web.defaultTier: preemptible is not among the role's own tiers (preferred)"},
	{"roles: {web: {namespaces: {}, quota: {cpu: 1.5}}}", "at '/roles/web/quota/cpu': got number, want integer or string"},
	{"roles: {web: {tiers: [preferred]}}", "at '/roles/web': missing property 'namespaces'"},
	{"networkPolicy: {egress: {restricted: true}}", "networkPolicy.egress.restricted: true, but networkPolicy.egress.rules is empty"},
	{"networkPolicy: {egress: {rules: [{}]}}", "networkPolicy.egress.rules: they have no effect"},
	{"{serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}", "podMonitor.enabled: true, but serviceMonitor.enabled is as well"},
	{"{serviceMonitor: {enabled: true}, service: {enabled: false}}", "serviceMonitor.enabled: true, but service.enabled is false"},
	{"prometheusRule: {disabled: [BorealisGone]}", "prometheusRule.disabled: there is no alert BorealisGone; there are BorealisDown,"},
}

func TestWhatCannotBeIsRefusedByName(t *testing.T) {
	of := load(t, "borealis")
	for _, one := range refused {
		_, err := rendered.Chart(of, parse(t, one.values), rendered.Namespace)
		if err == nil {
			t.Errorf("%s: it is taken", one.values)
		} else if !strings.Contains(err.Error(), one.words) {
			t.Errorf("%s: it is not said that %s, but\n%v", one.values, one.words, err)
		}
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	values := parse(t, "{replicas: 0, lease: {renewDeadline: 20s, retryPeriod: 10s}}")
	_, err := rendered.Chart(load(t, "borealis"), values, rendered.Namespace)
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, name := range []string{"podDisruptionBudget.enabled", "lease.renewDeadline", "lease.retryPeriod"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
}

// What only looks wrong is taken.
func TestWhatGoesTogetherIsTaken(t *testing.T) {
	for _, text := range []string{
		"{replicas: 0, podDisruptionBudget: {enabled: false}}",
		"{lease: {duration: 1m, renewDeadline: 59s, retryPeriod: 29s}}",
		"{lease: {duration: 1s, renewDeadline: 900ms, retryPeriod: 400ms}}",
		"{operator: {preemption: on}}",
		"{operator: {preemption: 'dry-run'}}",
		"{service: {enabled: false}, podMonitor: {enabled: true}}",
		"{roles: {web: {namespaces: {matchLabels: {a: b}}}}}",
		"{global: {imageRegistry: a}}",
	} {
		render(t, parse(t, text))
	}
}

func TestTheKindsHaveNothingToSet(t *testing.T) {
	_, err := rendered.Chart(load(t, "borealis-crds"), map[string]any{"keep": false}, rendered.Namespace)
	if err == nil || !strings.Contains(err.Error(), "additional properties 'keep' not allowed") {
		t.Errorf("keep: %v", err)
	}
}
