//! The API server as a test sees it: a client, and our kinds as plain JSON.
//!
//! Our kinds are read without their Rust types on purpose (see `lib`). Called by everything that talks to the
//! cluster.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use k8s_openapi::{
    api::{
        apps::v1::ControllerRevision,
        coordination::v1::Lease,
        core::v1::{Namespace, Node, Pod},
        events::v1::Event,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Config,
    api::{ApiResource, DynamicObject, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;

/// Who writes, in managedFields.
pub const FIELD_MANAGER: &str = "borealis-e2e";

/// A client and shortcuts to what tests look at.
#[derive(Clone)]
pub struct KubeApi {
    /// The client itself.
    pub client: Client,
    /// The API server.
    pub address: http::Uri,
}

impl KubeApi {
    /// A client with the rights of this kubeconfig.
    ///
    /// # Errors
    /// When the file is not usable.
    pub async fn new(kubeconfig: &Path) -> Result<Self> {
        let config = config_of(kubeconfig).await?;
        let address = config.cluster_url.clone();
        Ok(Self { client: Client::try_from(config)?, address })
    }

    /// A client that sends each call once, whatever the answer.
    ///
    /// # Errors
    /// When the file is not usable.
    pub async fn that_sends_once(kubeconfig: &Path) -> Result<Client> {
        let mut config = config_of(kubeconfig).await?;
        config.default_retry = false;
        Ok(Client::try_from(config)?)
    }

    /// AuroraServices of a namespace.
    pub fn services(&self, namespace: &str) -> Api<DynamicObject> {
        self.custom(namespace, "AuroraService", "auroraservices")
    }

    /// AuroraServices of all namespaces.
    pub fn all_services(&self) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource("AuroraService", "auroraservices"))
    }

    /// AuroraUpdates of a namespace.
    pub fn updates(&self, namespace: &str) -> Api<DynamicObject> {
        self.custom(namespace, "AuroraUpdate", "auroraupdates")
    }

    /// AuroraJobs of a namespace.
    pub fn jobs(&self, namespace: &str) -> Api<DynamicObject> {
        self.custom(namespace, "AuroraJob", "aurorajobs")
    }

    /// AuroraCrons of a namespace.
    pub fn crons(&self, namespace: &str) -> Api<DynamicObject> {
        self.custom(namespace, "AuroraCron", "auroracrons")
    }

    /// AuroraRoles.
    pub fn roles(&self) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource("AuroraRole", "auroraroles"))
    }

    fn custom(&self, namespace: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(kind, plural))
    }

    /// Pods of a namespace.
    pub fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Stored configs of a namespace.
    pub fn revisions(&self, namespace: &str) -> Api<ControllerRevision> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Disruption budgets of a namespace.
    pub fn budgets(&self, namespace: &str) -> Api<PodDisruptionBudget> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Events of a namespace.
    pub fn events(&self, namespace: &str) -> Api<Event> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Leases of a namespace.
    pub fn leases(&self, namespace: &str) -> Api<Lease> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// All nodes.
    pub fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    /// All namespaces.
    pub fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    /// Makes a namespace; one that exists is as good.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn make_namespace(&self, name: &str) -> Result<()> {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        match self
            .namespaces()
            .create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() })
            .await
        {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(error) => Err(error).with_context(|| format!("could not make namespace {name}")),
        }
    }
}

async fn config_of(kubeconfig: &Path) -> Result<Config> {
    let file = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("could not read {}", kubeconfig.display()))?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    config.connect_timeout = Some(Duration::from_secs(5));
    Ok(config)
}

/// A value deep in an object by its JSON pointer; null where there is none.
pub fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    object.pointer(pointer).unwrap_or(&Value::Null)
}

/// A number deep in an object; 0 where there is none, as the API leaves out zeroes.
pub fn number(object: &Value, pointer: &str) -> i64 {
    at(object, pointer).as_i64().unwrap_or_default()
}

/// A text deep in an object; empty where there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    at(object, pointer).as_str().unwrap_or_default()
}

/// A condition of an object by its type: (status, reason, message).
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let all = at(object, "/status/conditions").as_array()?;
    let found = all.iter().find(|condition| text(condition, "/type") == kind)?;
    Some((text(found, "/status"), text(found, "/reason"), text(found, "/message")))
}

/// A kind of ours.
fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "borealis.dev".into(),
        version: "v1alpha1".into(),
        api_version: "borealis.dev/v1alpha1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}
