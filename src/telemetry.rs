//! The log: one line per change of state, none for what stays as it is; and beside it traces, where they are asked for.
//!
//! Set up once by `main`; everybody else uses `tracing`. While a ConfigMap `borealis-log` stands in the operator's
//! namespace, its `data.filter` says what is logged, so that a running operator can be looked into.

use std::io::{self, Write};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use tokio::runtime::Handle;
use tracing::warn;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    fmt,
    layer::SubscriberExt,
    registry, reload,
    util::SubscriberInitExt,
};

use crate::{
    followed::{Reader, follow},
    settings::{LOG, LogFormat, Settings, Wrong},
    traces::{self, Traces},
};

/// Puts another filter in the place of the present one.
type Replace = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send>;

/// What is logged, and how to change it.
pub struct LogFilter {
    start: String,
    replace: Replace,
}

/// Starts the log on standard output, and traces on this runtime, which go on until they are dropped.
///
/// # Errors
/// When the filter can't be read, or traces can't be sent to where they are to go.
pub fn start(settings: &Settings, runtime: &Handle) -> Result<(LogFilter, Option<Traces>), Wrong> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|error| Wrong::Log { text: settings.log.clone(), why: error.to_string() })?;
    let (filter, handle) = reload::Layer::new(filter);
    let traces = Traces::new(settings, runtime)?;
    let all = registry().with(traces.as_ref().map(Traces::layer));
    let log = fmt::layer().with_target(false);
    let filter = filter.and(filter_fn(traces::is_for_the_log));
    match settings.log_format {
        LogFormat::Text => {
            let log = log.with_ansi(false).with_writer(|| OneLine(io::stdout()));
            all.with(log.with_filter(filter)).init();
        }
        LogFormat::Json => all.with(log.json().flatten_event(true).with_filter(filter)).init(),
    }
    Ok((LogFilter { start: settings.log.clone(), replace: replace(handle) }, traces))
}

/// Keeps each event on its one line: what others wrote may hold line breaks, which would make up lines of the log, and marks
/// by which a terminal shows something else. JSON escapes them by itself.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    /// Takes one event, as `fmt` writes it: whole, with a line break at its end.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = String::with_capacity(text.len());
        for c in text.strip_suffix('\n').unwrap_or(&text).chars() {
            if is_odd(c) { line.extend(c.escape_default()) } else { line.push(c) }
        }
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Control characters, separators of lines, marks of direction.
fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn replace<S: 'static>(handle: reload::Handle<EnvFilter, S>) -> Replace
where
    reload::Handle<EnvFilter, S>: Send,
{
    Box::new(move |filter| handle.reload(filter))
}

impl LogFilter {
    /// Follows the ConfigMap of this namespace for ever.
    pub async fn follow(self, client: Client, namespace: String) {
        let maps = Api::namespaced(client, &namespace);
        follow(maps, Log { filter: self, namespace, asked: Asked::Nothing }).await;
    }
}

/// What the ConfigMap asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// There is none.
    Nothing,
    /// This filter; empty where it names none.
    Filter(String),
}

impl Asked {
    fn by(map: Option<&ConfigMap>) -> Self {
        let Some(map) = map else { return Self::Nothing };
        let filter = map.data.as_ref().and_then(|data| data.get("filter"));
        Self::Filter(filter.map_or("", |filter| filter.trim()).to_owned())
    }
}

/// The log as it was last asked for.
struct Log {
    filter: LogFilter,
    namespace: String,
    asked: Asked,
}

impl Log {
    /// The filter that is asked for, or what is wrong with it.
    fn wanted(&self) -> Result<EnvFilter, String> {
        match &self.asked {
            Asked::Nothing => EnvFilter::try_new(&self.filter.start).map_err(|error| error.to_string()),
            // It would be read as errors alone.
            Asked::Filter(text) if text.is_empty() => Err("it is missing or empty".to_owned()),
            Asked::Filter(text) => EnvFilter::try_new(text).map_err(|error| error.to_string()),
        }
    }
}

impl Reader for Log {
    const NAME: &'static str = LOG;

    fn set(&mut self, map: Option<&ConfigMap>) {
        let asked = Asked::by(map);
        if self.asked == asked {
            return;
        }
        self.asked = asked;
        let namespace = &self.namespace;
        match (self.wanted(), &self.asked) {
            (Ok(filter), asked) => {
                // Before it holds: it may let nothing through.
                match asked {
                    Asked::Filter(_) => {
                        warn!(%filter, "what is logged is said by ConfigMap {LOG} from now on");
                    }
                    Asked::Nothing => {
                        warn!(%filter, "ConfigMap {LOG} is gone: the log is what it was at the start");
                    }
                }
                if let Err(error) = (self.filter.replace)(filter) {
                    warn!(%error, "the log's filter can't be changed any more");
                }
            }
            (Err(why), asked) => {
                let value = if let Asked::Filter(text) = asked { text } else { &self.filter.start };
                warn!(
                    namespace,
                    value,
                    why,
                    "ConfigMap {LOG}: data.filter can't be read, and the log stays as it is; write it as \
                     info,borealis=debug, or delete the ConfigMap"
                );
            }
        }
    }

    fn meanwhile(&self) -> &'static str {
        "the log stays as it is"
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use serde_json::{Value, json};
    use tracing::debug;

    use super::*;
    use crate::testing::{FakeApi, Page};

    fn map(data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": LOG, "namespace": "b"}, "data": data})
    }

    #[tokio::test(start_paused = true)]
    async fn the_filter_follows_the_config_map_and_a_bad_one_changes_nothing() {
        let api = FakeApi::new();
        let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "b"},
            "data": {"filter": "trace"}});
        api.create("configmaps", other);
        api.create("configmaps", map(&json!({"filter": "debug"})));
        let filters: Arc<Mutex<Vec<String>>> = Arc::default();
        let put = Arc::clone(&filters);
        let replace: Replace = Box::new(move |filter| {
            put.lock().unwrap().push(filter.to_string());
            Ok(())
        });
        let log = LogFilter { start: "info".to_owned(), replace };
        tokio::spawn(log.follow(api.client(), "b".to_owned()));
        let told = async || {
            tokio::time::sleep(Duration::from_secs(5)).await;
            std::mem::take(&mut *filters.lock().unwrap())
        };
        assert_eq!(told().await, ["debug"]);
        for (data, expected) in [
            (json!({"filter": "kube=trace"}), vec!["kube=trace"]),
            (json!({"filter": "kube=loud"}), vec![]),
            (json!({"filter": " "}), vec![]),
            (json!({"filter": null, "other": "x"}), vec![]),
            (json!({"filter": "warn"}), vec!["warn"]),
            // Nothing that concerns the log.
            (json!({"other": "y"}), vec![]),
        ] {
            api.merge("configmaps", "b", LOG, &json!({ "data": data }));
            assert_eq!(told().await, expected, "{data}");
        }
        api.remove("configmaps", "b", LOG);
        assert_eq!(told().await, ["info"]);

        // Made while nobody was told: the next list says so.
        api.break_watches();
        api.create("configmaps", map(&json!({"filter": "error"})));
        api.compact();
        assert_eq!(told().await, ["error"]);
    }

    #[test]
    fn what_is_logged_changes_at_once_and_what_is_wrong_is_said() {
        let page = Page::default();
        let writer = page.clone();
        let log = fmt()
            .with_env_filter(EnvFilter::new("info"))
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .with_filter_reloading();
        let filter = LogFilter { start: "info".to_owned(), replace: replace(log.reload_handle()) };
        let mut reader = Log { filter, namespace: "b".to_owned(), asked: Asked::Nothing };
        let set = |reader: &mut Log, filter: &str| {
            let map: ConfigMap = serde_json::from_value(map(&json!({ "filter": filter }))).unwrap();
            reader.set(Some(&map));
        };
        tracing::subscriber::with_default(log.finish(), || {
            debug!("one");
            set(&mut reader, "debug");
            debug!("two");
            set(&mut reader, "kube=loud");
            debug!("three");
            reader.set(None);
            debug!("four");
        });
        let text = page.text();
        let logged =
            ["one", "two", "three", "four"].map(|word| text.lines().any(|line| line.ends_with(word)));
        assert_eq!(logged, [false, true, true, false], "{text}");
        for part in [
            "ConfigMap borealis-log: data.filter",
            "namespace=\"b\"",
            "value=\"kube=loud\"",
            "delete the ConfigMap",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    /// What somebody may have called a thing.
    const ODD: &str = "web\n2026-01-01T00:00:00Z  WARN forged\r\u{1b}[2J\u{9b}31m\u{0}\u{202e}\u{2028}\"} {\"level\":\"WARN\"";

    fn say_odd_things() {
        warn!(job = ODD, error = %ODD, other = ?ODD, "about {ODD}");
        warn!("the next");
    }

    #[test]
    fn what_others_wrote_stays_within_its_line_of_text() {
        let page = Page::default();
        let writer = page.clone();
        let log = fmt().with_ansi(false).with_writer(move || OneLine(writer.clone()));
        tracing::subscriber::with_default(log.finish(), say_odd_things);
        let text = page.text();
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert_eq!(text.chars().find(|c| *c != '\n' && is_odd(*c)), None, "{text:?}");
        assert_eq!(text.matches("web\\n2026-01-01").count(), 4, "it can still be read: {text}");
    }

    #[test]
    fn what_others_wrote_stays_within_its_line_of_json() {
        let page = Page::default();
        let writer = page.clone();
        let log = fmt().json().flatten_event(true).with_writer(move || writer.clone());
        tracing::subscriber::with_default(log.finish(), say_odd_things);
        let text = page.text();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text:?}");
        assert_eq!((&lines[0]["job"], &lines[0]["error"]), (&json!(ODD), &json!(ODD)));
        assert_eq!(lines[1]["message"], "the next");
    }
}
