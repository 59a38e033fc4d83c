//! Apache Kafka for tests: one broker, which is its own controller, in a JVM of its own.
//!
//! It needs a JDK with Maven, and the network when it is fetched for the first time; it stays under `target/tools`.

use std::{
    env,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use tokio::sync::OnceCell;

use crate::{Launch, Process, Temporary, eventually, tool};

/// The folder of this version below `target/tools`.
const FOLDER: &str = "kafka-4.3.1";

/// What Maven resolves.
const POM: &str = include_str!("kafka/pom.xml");

/// The id that the storage is formatted with; any will do.
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// How long it may take to start, also after it was killed: it waits until its own old session has lapsed.
const START_MAX: Duration = Duration::from_mins(1);

/// For tests: little memory, and a compiler that is soon done.
const SMALL: [&str; 4] = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// For measuring: what the broker's own script sets, and both compilers.
const LARGE: [&str; 6] = [
    "-Xms1g",
    "-Xmx1g",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

/// How long one question may take whether it has started.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// A running broker; its data go with it.
#[derive(Debug)]
pub struct Kafka {
    ports: Ports,
    java: Java,
    running: Mutex<Option<Arc<Process>>>,
    folder: Temporary,
}

/// Where a broker listens, on loopback.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// For clients.
    pub clients: u16,
    /// For clients that come through a proxy.
    pub proxied: u16,
    /// What the broker tells clients that come through a proxy: the port of the proxy.
    pub advertised: u16,
    controller: u16,
}

/// How to run what was fetched.
#[derive(Clone, Debug)]
struct Java {
    program: PathBuf,
    jars: PathBuf,
    options: &'static [&'static str],
}

impl Ports {
    /// Finds free ports.
    #[must_use]
    pub fn find() -> Self {
        // All are held until all are found.
        let held: [_; 3] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [clients, proxied, controller] = held.map(|held| held.local_addr().unwrap().port());
        Self { clients, proxied, advertised: proxied, controller }
    }
}

impl Kafka {
    /// Returns the broker that all tests in this binary share which leave it as it is.
    pub async fn shared() -> Arc<Self> {
        static SHARED: OnceCell<Arc<Kafka>> = OnceCell::const_new();
        let start = async || Arc::new(Self::start(Ports::find()).await);
        Arc::clone(SHARED.get_or_init(start).await)
    }

    /// Starts a broker of its own, and fetches it before where that has not been done yet.
    ///
    /// # Panics
    ///
    /// Java or Maven is not installed, or cannot fetch it; the message says what to do.
    pub async fn start(ports: Ports) -> Self {
        Self::start_with(ports, &SMALL).await
    }

    /// Starts a broker that is to be fast, with 1 GiB of memory.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub async fn start_for_measuring() -> Self {
        Self::start_with(Ports::find(), &LARGE).await
    }

    async fn start_with(ports: Ports, options: &'static [&'static str]) -> Self {
        let java = tokio::task::spawn_blocking(|| fetch(options)).await.unwrap();
        let folder = Temporary::new("kafka");
        let this = Self { ports, java, running: Mutex::new(None), folder };
        this.format().await;
        this.restart().await;
        this
    }

    /// Returns where clients reach it.
    #[must_use]
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.clients)
    }

    /// Returns a prefix for the names of one test.
    #[must_use]
    pub fn prefix(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("test{}.", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Kills the broker with `SIGKILL`.
    pub async fn kill(&self) {
        let process = self.running().take().expect("the broker is not running");
        process.kill().await;
    }

    /// Starts the broker again after [`kill`](Self::kill), on the same ports and data, and waits until it answers.
    pub async fn restart(&self) {
        let settings = self.folder.path().join("server.properties");
        let process = self.java.launch("kafka.Kafka").arg(settings).start();
        *self.running() = Some(Arc::new(process));
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers()).set("log_level", "0");
        let client: Arc<BaseConsumer> = Arc::new(config.create().unwrap());
        eventually(START_MAX, "the broker answers", async || {
            let process = self.running().clone().unwrap();
            assert!(process.is_running(), "the broker has ended: {:#?}", process.output());
            let client = Arc::clone(&client);
            let ask = move || client.fetch_metadata(None, ANSWER_MAX);
            let metadata = tokio::task::spawn_blocking(ask).await.unwrap().ok()?;
            (!metadata.brokers().is_empty()).then_some(())
        })
        .await;
    }

    async fn format(&self) {
        let settings = self.folder.path().join("server.properties");
        fs::write(&settings, self.settings()).unwrap();
        let tool = self.java.launch("kafka.tools.StorageTool");
        let tool = tool.args(["format", "--standalone", "-t", CLUSTER, "-c"]).arg(settings);
        let (status, output) = tool.start().exit(START_MAX).await;
        assert!(status.success(), "format the storage: {output:#?}");
    }

    /// Returns what a single broker needs.
    fn settings(&self) -> String {
        let Ports { clients, proxied, advertised, controller } = self.ports;
        let data = self.folder.path().join("data");
        format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             log.dirs={}\n\
             listeners=PLAINTEXT://127.0.0.1:{clients},PROXIED://127.0.0.1:{proxied},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{clients},PROXIED://127.0.0.1:{advertised}\n\
             inter.broker.listener.name=PLAINTEXT\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
             broker.session.timeout.ms=3000\n\
             broker.heartbeat.interval.ms=500\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=4\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             group.min.session.timeout.ms=1000\n\
             auto.create.topics.enable=false\n\
             transaction.max.timeout.ms=900000\n\
             transaction.abort.timed.out.transaction.cleanup.interval.ms=1000\n\
             log.segment.bytes=16777216\n",
            data.display()
        )
    }

    fn running(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Java {
    fn launch(&self, class: &str) -> Launch {
        let jars = format!("{}/*", self.jars.display());
        Launch::new(&self.program).args(self.options).args(["-cp", &jars, class])
    }
}

/// Returns what runs the broker; fetches it once, and never twice at the same time.
fn fetch(options: &'static [&'static str]) -> Java {
    let folder = tool::folder(FOLDER);
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let jars = folder.join("jars");
    if !jars.is_dir() {
        resolve(&jars);
    }
    let home = env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    let program = home.filter(|java| java.is_file()).unwrap_or_else(|| "java".into());
    Java { program, jars, options }
}

/// Has Maven copy the broker and what it needs into a folder, all or nothing.
fn resolve(jars: &Path) {
    let folder = Temporary::new("kafka-pom");
    fs::write(folder.path().join("pom.xml"), POM).unwrap();
    let unfinished = jars.with_extension("unfinished");
    let resolved = Command::new("mvn")
        .args(["--batch-mode", "--quiet", "dependency:copy-dependencies"])
        .arg(format!("-DoutputDirectory={}", unfinished.display()))
        .current_dir(folder.path())
        .output();
    let resolved = resolved.unwrap_or_else(|error| {
        panic!(
            "{error}: install a JDK 17 or later with Maven, by apt-get install maven \
             default-jdk-headless or brew install maven"
        )
    });
    let said = String::from_utf8_lossy(&resolved.stdout);
    assert!(resolved.status.success(), "mvn dependency:copy-dependencies: {said}");
    fs::rename(&unfinished, jars).unwrap();
}
