//! The annotations by which admission policies know a namespace's role, and the classes its Pods may have.
//!
//! Only namespaces that an AuroraRole claims have them; of all others the policies know what to say.

use serde_json::{Value, json};

use crate::{
    api::labels,
    index::{NamespaceRow, Tenancy},
};

/// A namespace whose annotations are to be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Mend {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// A merge patch of these annotations alone.
    pub patch: Value,
}

/// The namespaces whose annotations are not as they shall be.
#[must_use]
pub fn mend(tenancy: &Tenancy) -> Vec<Mend> {
    tenancy.namespaces().filter(|row| !row.object.deleting).filter_map(|row| one(tenancy, row)).collect()
}

fn one(tenancy: &Tenancy, row: &NamespaceRow) -> Option<Mend> {
    let name = &row.object.name;
    let tenant = tenancy.tenant(name);
    let (role, classes) = if tenant.claimed {
        (Some(tenant.role.name.to_string()), Some(tenancy.classes(name).join(",")))
    } else {
        (None, None)
    };
    if row.role == role && row.classes == classes {
        return None;
    }
    let annotations = json!({labels::ROLE: role, labels::CLASSES: classes});
    Some(Mend {
        name: name.to_string(),
        uid: row.object.uid.to_string(),
        patch: json!({"metadata": {"annotations": annotations}}),
    })
}
