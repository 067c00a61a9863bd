package charts

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// kind reads what crds/ says of a kind.
func kind(t *testing.T, plural string) *apiextensions.JSONSchemaProps {
	t.Helper()
	var definition v1.CustomResourceDefinition
	if err := yaml.Unmarshal([]byte(read(t, "crds", plural+".borealis.dev.yaml")), &definition); err != nil {
		t.Fatal(err)
	}
	var out apiextensions.JSONSchemaProps
	if err := v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(definition.Spec.Versions[0].Schema.OpenAPIV3Schema, &out, nil); err != nil {
		t.Fatal(err)
	}
	return &out
}

// objections are those that an API server would have to an object of one of Borealis's kinds.
func objections(t *testing.T, plural string, object map[string]any) []string {
	t.Helper()
	props := kind(t, plural)
	structural, err := schema.NewStructural(props)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, path := range pruning.PruneWithOptions(object, structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		out = append(out, "unknown field "+path)
	}
	defaulting.Default(object, structural)
	validator, _, err := validation.NewSchemaValidator(props)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range validation.ValidateCustomResource(nil, object, validator) {
		out = append(out, problem.Error())
	}
	rules := cel.NewValidator(structural, true, 10_000_000)
	problems, _ := rules.Validate(context.Background(), field.NewPath(""), structural, object, nil, 10_000_000)
	for _, problem := range problems {
		out = append(out, problem.Error())
	}
	return out
}

// An API server would drop a misspelt field in silence. Kinds of the Prometheus Operator are not known here.
func TestEveryFieldIsOneThatKubernetesKnows(t *testing.T) {
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	ours := map[string]string{"Tier": "tiers", "AuroraRole": "auroraroles"}
	decoded := 0
	for _, set := range sets {
		for name, text := range render(t, values(t, set)) {
			if !strings.HasSuffix(name, ".yaml") {
				continue
			}
			for _, object := range objects(t, text) {
				of := object["kind"].(string)
				if strings.HasPrefix(object["apiVersion"].(string), "monitoring.coreos.com/") {
					continue
				}
				if plural, is := ours[of]; is {
					if found := objections(t, plural, object); len(found) > 0 {
						t.Errorf("%s: %s: %s %v: %v", set, name, of, at(t, object, "metadata", "name"), found)
					}
					continue
				}
				text, err := yaml.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := strict.Decode(text, nil, nil); err != nil {
					t.Errorf("%s: %s: %s %v: %v", set, name, of, at(t, object, "metadata", "name"), err)
				}
				decoded++
			}
		}
	}
	if decoded < 60 {
		t.Errorf("%d objects were looked at", decoded)
	}
}

// What the schema of the values lets through for tiers and roles, the kinds have to let through as well.
func TestTheChartTakesWhatTheKindsTake(t *testing.T) {
	values := parse(t, `
tiers:
  full: {preemptible: true, revocable: true, band: 1000000000, preemption: Borealis, dryRun: true,
    preemptionDelaySeconds: 86400, minRuntimeSeconds: 604800, graceSeconds: 86400}
roles:
  full: {namespaces: {matchExpressions: [{key: a, operator: In, values: [b]}]}, quota: {cpu: 40, memory: 1.5Gi, nvidia.com/gpu: 1},
    weight: 1000, defaultTier: full, tiers: [full], dedicated: [gpu], contacts: [c], maxVictimsPerMinute: 100000}`)
	texts := render(t, values)
	tier := find(t, objects(t, texts["templates/15-tiers.yaml"]), "Tier", "full")
	role := find(t, objects(t, texts["templates/17-roles.yaml"]), "AuroraRole", "full")
	if found := objections(t, "tiers", tier); len(found) > 0 {
		t.Errorf("tier: %v", found)
	}
	if found := objections(t, "auroraroles", role); len(found) > 0 {
		t.Errorf("role: %v", found)
	}
	// All that people may say of one is said above.
	for plural, object := range map[string]map[string]any{"tiers": tier, "auroraroles": role} {
		for name := range kind(t, plural).Properties["spec"].Properties {
			if _, is := object["spec"].(map[string]any)[name]; !is {
				t.Errorf("%s: no value reaches spec.%s", plural, name)
			}
		}
	}
}
