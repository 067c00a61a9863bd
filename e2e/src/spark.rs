//! Apache Spark: its own `spark-submit`, its image on the real node, and a job whose result is known.
//!
//! `e2e/spark/get` fetches it once and `e2e/spark/image` makes the image. A driver is either a program of this machine or
//! a Pod; Spark itself makes the executors' Pods. Called by the scenarios about Spark, which can't do without it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{command::Call, operator, paths, scene::Scene};

/// The image that `e2e/spark/image` makes.
pub const IMAGE: &str = "borealis.test/spark:4";
/// Label that Spark gives its Pods: `driver` or `executor`.
pub const KIND: &str = "spark-role";
/// The account that Spark makes Pods with.
const ACCOUNT: &str = "spark";
/// The team in the manifests.
const TEAM: &str = "analytics";
/// How long the download may take.
const DOWNLOAD: Duration = Duration::from_secs(600);

/// One of the files of `e2e/spark`, which are those of the documentation, with the scene's name in the place of the team's.
///
/// # Errors
/// When there is none.
pub fn file(scene: &Scene, name: &str) -> Result<String> {
    let path = paths::repository().join("e2e/spark").join(name);
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    Ok(text.replace(TEAM, &scene.namespace))
}

/// Applies such a file.
///
/// # Errors
/// When there is none, or the API server refuses it.
pub async fn apply(scene: &Scene, name: &str) -> Result<()> {
    let path = write(scene, name, &file(scene, name)?)?;
    scene.kubectl(&["apply", "--filename", &path]).await.map(|_| ())
}

/// Writes a file to the scene's folder.
///
/// # Errors
/// When it can't be written.
pub fn write(scene: &Scene, name: &str, text: &str) -> Result<String> {
    let folder = folder(scene)?;
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
    Ok(path.to_string_lossy().into_owned())
}

fn folder(scene: &Scene) -> Result<PathBuf> {
    let folder = scene.world.folder.join(&scene.namespace);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Brings the image to the real node, making it where it is missing.
///
/// # Errors
/// When it can't be made or brought there.
pub async fn load_image(scene: &Scene) -> Result<()> {
    scene.world.cluster.load_image(run("image").await?.trim()).await
}

/// Runs one of the programs of `e2e/spark` and returns what it printed.
async fn run(program: &str) -> Result<String> {
    let path = paths::repository().join("e2e/spark").join(program);
    let call = Call::new(&path, &[] as &[&str]).limit(DOWNLOAD);
    call.output().await.context("there is no Spark")
}

/// A driver that is a program of this machine, as `spark-submit` starts one outside the cluster. It ends when it is
/// dropped.
pub struct Driver {
    log: PathBuf,
    process: Child,
}

impl Driver {
    /// Starts a driver that runs this job, as Spark's own account; each executor asks for so much of a CPU and is
    /// otherwise made after this Pod.
    ///
    /// # Errors
    /// When there is no Spark, or it can't be started.
    pub async fn start(scene: &Scene, job: Job, millicores: u32, template: &Value) -> Result<Self> {
        let got = run("get").await?;
        let place = |name: &str| {
            let line = got.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.map(PathBuf::from).with_context(|| format!("spark/get names no {name}: {got:?}"))
        };
        let (home, java) = (place("SPARK_HOME")?, place("JAVA_HOME")?);
        let folder = folder(scene)?;
        let cluster = &scene.world.cluster;
        let kubeconfig = operator::account_kubeconfig(cluster, &folder, &scene.namespace, ACCOUNT).await?;
        let log = folder.join("driver.log");
        let output = File::create(&log).context("could not open the driver's log")?;
        let process = Command::new(home.join("bin/spark-submit"))
            .arg(format!("--master=k8s://{}", server(&cluster.kubeconfig)?))
            .arg(format!("--properties-file={}", write(scene, "spark.conf", &file(scene, "spark.conf")?)?))
            .arg(format!("--conf=spark.kubernetes.executor.request.cores={millicores}m"))
            .arg(format!(
                "--conf=spark.kubernetes.executor.podTemplateFile={}",
                write(scene, "executor.json", &template.to_string())?
            ))
            .arg("--conf=spark.driver.host=localhost")
            .args(["--class", "org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver", "spark-internal"])
            .args(["-e", &job.statement()])
            .env("SPARK_HOME", home)
            .env("JAVA_HOME", &java)
            .env("KUBECONFIG", kubeconfig)
            // As in the image it shall start soon; and what it leaves when it is killed shall be in the scene's folder.
            .env(
                "JAVA_TOOL_OPTIONS",
                format!("-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.io.tmpdir={}", folder.display()),
            )
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("could not start spark-submit")?;
        // A later run ends by it what this one was killed beside.
        let program = fs::canonicalize(java.join("bin/java"))?;
        let record = format!("{} {}", process.id().unwrap_or_default(), program.display());
        fs::write(scene.world.folder.join(format!("{}.pid", scene.namespace)), record)?;
        Ok(Self { log, process })
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// With the last lines of its log.
    pub fn runs(&mut self) -> Result<()> {
        let Some(status) = self.process.try_wait()? else { return Ok(()) };
        bail!("the driver ended with {status}:\n{}", tail(&fs::read_to_string(&self.log).unwrap_or_default()))
    }
}

/// The last lines of a log.
pub fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// The API server's address in a kubeconfig.
fn server(kubeconfig: &Path) -> Result<String> {
    let config: Value = serde_yaml_ng::from_str(&fs::read_to_string(kubeconfig)?)?;
    let server = config["clusters"][0]["cluster"]["server"].as_str();
    Ok(server.context("the kubeconfig names no server")?.to_owned())
}

/// The manifests of a driver that is a Pod, and of the files that it reads. It is on the same nodes as the executors.
///
/// # Errors
/// When the driver's manifest is none.
pub fn driver_pod(scene: &Scene, job: Job, millicores: u32, template: &Value) -> Result<Value> {
    let mut pod: Value = serde_yaml_ng::from_str(&file(scene, "driver.yaml")?)?;
    for field in ["nodeSelector", "tolerations"] {
        pod["spec"][field] = template["spec"][field].clone();
    }
    let cores = format!("spark.kubernetes.executor.request.cores {millicores}m\n");
    let files = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "job" },
        "data": {
            "spark.conf": file(scene, "spark.conf")? + &cores,
            "executor.yaml": serde_yaml_ng::to_string(template)?,
            "job.sql": job.statement() + ";\n",
        },
    });
    Ok(json!({ "apiVersion": "v1", "kind": "List", "items": [files, pod] }))
}

/// A job whose result is known: it counts and adds numbers by their remainder, and takes its time over it.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// How many tasks it is cut into, each of which takes a second.
    pub tasks: u64,
}

impl Job {
    const NUMBERS: u64 = 1000;
    const REMAINDERS: u64 = 4;

    /// Its statement. What a task has found stays with its executor until all are done: an executor that is lost
    /// takes with it all that it did.
    pub fn statement(self) -> String {
        let (all, tasks, numbers, remainders) = (self.numbers(), self.tasks, Self::NUMBERS, Self::REMAINDERS);
        format!(
            "SELECT id % {remainders} AS remainder, count(*), sum(id) FROM (SELECT id, \
             reflect('java.lang.Thread', 'sleep', if(id % {numbers} = 0, 1000L, 0L)) AS slept \
             FROM range(0, {all}, 1, {tasks})) WHERE slept = 'null' GROUP BY id % {remainders}"
        )
    }

    /// Fails unless a driver's log has the result, whole and once.
    ///
    /// # Errors
    /// When it has not.
    pub fn is_done_in(self, log: &str) -> Result<()> {
        let row = |remainder: u64| {
            let numbers = (0..self.numbers()).filter(|number| number % Self::REMAINDERS == remainder);
            let (count, sum) = numbers.fold((0_u64, 0_u64), |(count, sum), number| (count + 1, sum + number));
            format!("{remainder}\t{count}\t{sum}")
        };
        let wanted: Vec<String> = (0..Self::REMAINDERS).map(row).collect();
        let is_row =
            |line: &&str| line.split('\t').all(|part| part.parse::<u64>().is_ok()) && line.contains('\t');
        let mut rows: Vec<&str> = log.lines().filter(is_row).collect();
        rows.sort_unstable();
        ensure!(rows == wanted, "the result is {rows:?}, not {wanted:?}:\n{}", tail(log));
        Ok(())
    }

    fn numbers(self) -> u64 {
        self.tasks * Self::NUMBERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_shows_the_files_as_they_are() {
        let read = |path: &str| fs::read_to_string(paths::repository().join(path)).unwrap();
        let page = read("docs/frameworks.md");
        for name in ["tenant.yaml", "account.yaml", "spark.conf", "driver.yaml"] {
            assert!(page.contains(read(&format!("e2e/spark/{name}")).trim_end()), "{name}");
        }
    }

    #[test]
    fn a_result_is_whole_and_comes_once() {
        let job = Job { tasks: 1 };
        let good = "INFO x\n2\t250\t125000\n0\t250\t124500\n1\t250\t124750\n3\t250\t125250\nTime\ttaken\n";
        assert!(job.is_done_in(good).is_ok());
        assert!(job.is_done_in(&good.replace("124500", "124501")).is_err());
        assert!(job.is_done_in(&good.replace("2\t250\t125000\n", "")).is_err());
        assert!(job.is_done_in(&format!("{good}{good}")).is_err());
    }
}
