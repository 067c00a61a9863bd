//! Following one ConfigMap of the operator's namespace, by which people tell the operator something while it runs.
//!
//! An error or a silence never ends it. Decides nothing: its reader is told how the ConfigMap is. Used by `freeze` and
//! `telemetry`.

use std::pin::pin;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};
use tracing::warn;

use crate::listen::next_event;

/// Who is told how the ConfigMap is.
pub(crate) trait Reader {
    /// The ConfigMap's name.
    const NAME: &'static str;

    /// It is like this, or is not there. May be called though nothing has changed.
    fn set(&mut self, map: Option<&ConfigMap>);

    /// What holds while it can't be read.
    fn meanwhile(&self) -> &'static str;
}

/// Follows the ConfigMap for ever.
pub(crate) async fn follow<R: Reader>(maps: Api<ConfigMap>, mut reader: R) {
    let name = R::NAME;
    loop {
        let only = Config::default().fields(&format!("metadata.name={name}"));
        let mut events = pin!(watcher(maps.clone(), only).default_backoff());
        let (mut listing, mut listed) = (true, None);
        while let Ok(Some(event)) = next_event(events.as_mut(), listing, || ()).await {
            match event {
                Ok(Event::Init) => (listing, listed) = (true, None),
                Ok(Event::InitApply(map)) => listed = Some(map),
                Ok(Event::InitDone) => {
                    listing = false;
                    reader.set(listed.as_ref());
                }
                Ok(Event::Apply(map)) => reader.set(Some(&map)),
                Ok(Event::Delete(_)) => reader.set(None),
                Err(error) => warn!(%error, "ConfigMap {name} can't be read; {}", reader.meanwhile()),
            }
        }
        warn!("the watch of ConfigMap {name} got no answer in time; it is opened anew");
    }
}
