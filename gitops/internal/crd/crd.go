// Package crd reads CustomResourceDefinitions and does with objects what the API server does: it fills in defaults,
// drops what no schema knows, and validates by schema and rules. All of it is the API server's own code.
package crd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// Kind is one version of one CustomResourceDefinition.
type Kind struct {
	GVK        kschema.GroupVersionKind
	Definition *v1.CustomResourceDefinition
	Structural *schema.Structural

	schema validation.SchemaValidator
	rules  *cel.Validator
}

// Kinds are all that a folder holds.
type Kinds map[kschema.GroupVersionKind]*Kind

// Load reads every YAML file of a folder as a CustomResourceDefinition.
func Load(folder string) (Kinds, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no CustomResourceDefinition; is it the right folder?", folder)
	}
	kinds := Kinds{}
	for _, file := range files {
		if err := kinds.Add(file); err != nil {
			return nil, err
		}
	}
	return kinds, nil
}

// Add reads one file as a CustomResourceDefinition.
func (kinds Kinds) Add(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	definition := &v1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, definition); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, version := range definition.Spec.Versions {
		kind, err := newKind(definition, version)
		if err != nil {
			return fmt.Errorf("%s, version %s: %w", file, version.Name, err)
		}
		kinds[kind.GVK] = kind
	}
	return nil
}

func newKind(definition *v1.CustomResourceDefinition, version v1.CustomResourceDefinitionVersion) (*Kind, error) {
	properties := &apiextensions.JSONSchemaProps{}
	if err := v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, properties, nil); err != nil {
		return nil, err
	}
	structural, err := schema.NewStructural(properties)
	if err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(properties)
	if err != nil {
		return nil, err
	}
	gvk := kschema.GroupVersionKind{Group: definition.Spec.Group, Version: version.Name, Kind: definition.Spec.Names.Kind}
	return &Kind{
		GVK:        gvk,
		Definition: definition,
		Structural: structural,
		schema:     validator,
		rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
	}, nil
}

// Of finds the kind of an object.
func (kinds Kinds) Of(object *unstructured.Unstructured) (*Kind, error) {
	if kind, ok := kinds[object.GroupVersionKind()]; ok {
		return kind, nil
	}
	return nil, fmt.Errorf("no CustomResourceDefinition is about %s", object.GroupVersionKind())
}

// Default fills in what the schema says of fields that are absent.
func (kind *Kind) Default(object *unstructured.Unstructured) {
	defaulting.Default(object.Object, kind.Structural)
}

// Unknown names the fields that the API server would drop since the schema does not have them.
func (kind *Kind) Unknown(object *unstructured.Unstructured) []string {
	options := schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	paths := pruning.PruneWithOptions(object.DeepCopy().Object, kind.Structural, true, options)
	slices.Sort(paths)
	return paths
}

// Validate says what the API server would refuse: of a new object, or of a change where there is an old one.
func (kind *Kind) Validate(object, old *unstructured.Unstructured) error {
	var before map[string]any
	problems := validation.ValidateCustomResource(nil, object.Object, kind.schema)
	if old != nil {
		before = old.Object
		problems = validation.ValidateCustomResourceUpdate(nil, object.Object, before, kind.schema)
	}
	found, _ := kind.rules.Validate(context.Background(), field.NewPath(""), kind.Structural, object.Object, before, celconfig.RuntimeCELCostBudget)
	return append(problems, found...).ToAggregate()
}

// Defaults walks the schema and names every field with a default, `[]` standing for the items of a list.
func (kind *Kind) Defaults() map[string]any {
	all := map[string]any{}
	walk(kind.Structural, "", all)
	return all
}

func walk(at *schema.Structural, path string, all map[string]any) {
	if at.Default.Object != nil {
		all[path] = at.Default.Object
	}
	for name, property := range at.Properties {
		walk(&property, path+"."+name, all)
	}
	if at.Items != nil {
		walk(at.Items, path+"[]", all)
	}
	if at.AdditionalProperties != nil && at.AdditionalProperties.Structural != nil {
		walk(at.AdditionalProperties.Structural, path+".*", all)
	}
}
