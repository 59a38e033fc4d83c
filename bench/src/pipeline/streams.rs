//! The six steps of DIGIT on Kafka Streams, in a process of its own.

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tidings_pipeline::topic;
use tidings_tests::{Launch, Process, kafka::Kafka as Broker};
use tokio::{process::Command, sync::Mutex};

use super::ground::Ground;
use crate::{
    corpus::{self, Corpus},
    fixture::Fixture,
    turns::float,
};

const POM: &str = include_str!("../../rivals/kafka-streams/pom.xml");
const SOURCE: &str = include_str!("../../rivals/kafka-streams/Rival.java");

/// The folder of this version below `target/tools`.
const FOLDER: &str = "kafka-streams-4.3.1";

const START_MAX: Duration = Duration::from_mins(1);

/// How long it is left alone before it is stopped, so that no transaction is open.
const QUIET: Duration = Duration::from_secs(3);

/// The rival, which is stopped while others are measured: its compiler has done its work by then.
pub(super) struct Streams {
    ground: Ground,
    process: Process,
    corpus: Mutex<Corpus>,
}

impl Streams {
    /// Fetches what it needs, where that has not been done yet, and starts it.
    pub(super) async fn start(fixture: &Fixture, broker: &Broker) -> Result<Self> {
        let program = std::env::current_exe()?;
        // target/<profile>/tidings-bench
        let target = program.ancestors().nth(2).context("no target folder")?;
        let classes = build(target.join("tools").join(FOLDER)).await?;
        let ground = Ground::new(broker, "rival.").await?;
        let process = Launch::new("java")
            .args(["-Xms3g", "-Xmx3g", "-XX:+UseParallelGC", "-cp", &classes, "Rival"])
            .args([&ground.brokers, &ground.prefix])
            .arg(fixture.file("rival"))
            .start();
        process.line("state RUNNING", START_MAX).await;
        let corpus = Mutex::new(Corpus::new(17, corpus::now().timestamp_millis()));
        process.freeze().await;
        Ok(Self { ground, process, corpus })
    }

    /// Returns how many of so many new events a second it brings from raw to unique.
    pub(super) async fn turn(&self, events: u64) -> Result<f64> {
        self.ground.append(&mut *self.corpus.lock().await, events).await?;
        let before = self.ground.written(topic::UNIQUE).await?;
        let began = Instant::now();
        self.process.thaw();
        self.ground.unique(u64::try_from(before)? + events).await?;
        let took = began.elapsed();
        tokio::time::sleep(QUIET).await;
        ensure!(self.process.is_running(), "the rival has ended: {:#?}", self.process.output());
        let failed = self.ground.written(topic::FAILED).await?;
        ensure!(failed == 0, "{failed} offsets of failed are taken");
        self.process.freeze().await;
        Ok(float(events) / took.as_secs_f64())
    }
}

/// Returns where its classes are.
async fn build(folder: PathBuf) -> Result<String> {
    let (library, classes) = (folder.join("lib"), folder.join("classes"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("pom.xml"), POM)?;
    fs::write(folder.join("Rival.java"), SOURCE)?;
    if !library.is_dir() {
        let mut maven = Command::new("mvn");
        maven.args(["--batch-mode", "--quiet", "dependency:copy-dependencies"]);
        run(maven.arg("-DoutputDirectory=unfinished").current_dir(&folder)).await?;
        fs::rename(folder.join("unfinished"), &library)?;
    }
    let jars = format!("{}/*", library.display());
    let mut javac = Command::new("javac");
    javac.arg("-d").arg(&classes).args(["-cp", &jars, "Rival.java"]);
    run(javac.current_dir(&folder)).await?;
    Ok(format!("{}:{jars}", classes.display()))
}

async fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().await;
    let output = output.context("install a JDK 17 or later with Maven")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {said}");
    Ok(())
}
