package crd

import (
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
)

// Store is one object as the API server keeps it, written by several managers: its own merge and its own record of who
// owns which field, with the defaults of the schema.
type Store struct {
	kind    *Kind
	manager *managedfields.FieldManager
	live    runtime.Object
}

// NewStore makes a store without an object.
func (kind *Kind) NewStore() (*Store, error) {
	openAPI, err := builder.BuildOpenAPIV3(kind.Definition, kind.GVK.Version, builder.Options{})
	if err != nil {
		return nil, err
	}
	types, err := managedfields.NewTypeConverter(openAPI.Components.Schemas, false)
	if err != nil {
		return nil, err
	}
	version := kind.GVK.GroupVersion()
	manager, err := managedfields.NewDefaultCRDFieldManager(types, oneVersion{}, defaulter{kind}, oneVersion{}, kind.GVK, version, "", nil)
	if err != nil {
		return nil, err
	}
	live, err := oneVersion{}.New(kind.GVK)
	return &Store{kind: kind, manager: manager, live: live}, err
}

// Apply is a server-side apply; with force it takes what others own.
func (store *Store) Apply(object *unstructured.Unstructured, manager string, force bool) error {
	return store.keep(store.manager.Apply(store.live, object.DeepCopy(), manager, force))
}

// Update writes the whole object: what differs from before is then this manager's.
func (store *Store) Update(object *unstructured.Unstructured, manager string) error {
	return store.keep(store.manager.Update(store.live, object.DeepCopy(), manager))
}

// Live is the object with its managed fields.
func (store *Store) Live() *unstructured.Unstructured {
	return store.live.(*unstructured.Unstructured).DeepCopy()
}

func (store *Store) keep(now runtime.Object, err error) error {
	if err != nil {
		return err
	}
	object, ok := now.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("the merge made a %T", now)
	}
	store.kind.Default(object)
	store.live = object
	return nil
}

// As the API server's own: applying is to nothing that lacks defaults.
var _ runtime.ObjectDefaulter = defaulter{}

type defaulter struct{ *Kind }

func (kind defaulter) Default(object runtime.Object) {
	if object, ok := object.(*unstructured.Unstructured); ok {
		kind.Kind.Default(object)
	}
}

// oneVersion converts between versions of a kind that has one.
type oneVersion struct{}

func (oneVersion) Convert(_, _, _ any) error {
	return fmt.Errorf("there is one version only")
}

func (oneVersion) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	return in, nil
}

func (oneVersion) ConvertFieldLabel(_ kschema.GroupVersionKind, _, _ string) (string, string, error) {
	return "", "", fmt.Errorf("there are no field labels")
}

func (oneVersion) New(kind kschema.GroupVersionKind) (runtime.Object, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	return object, nil
}
