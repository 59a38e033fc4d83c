//! Apache Kafka for tests: one broker, which is its own controller, in a JVM of its own, or a broker that can be killed with
//! a controller beside it that stays.
//!
//! It needs a JDK with Maven, and the network when it is fetched for the first time; it stays under `target/tools`.

mod gate;

use std::{
    env,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use tokio::sync::OnceCell;

pub use gate::{Gate, Held, Request, Step};

use crate::{Launch, Process, Temporary, eventually, tool};

/// The folder of this version below `target/tools`.
const FOLDER: &str = "kafka-4.3.1";

/// What Maven resolves.
const POM: &str = include_str!("kafka/pom.xml");

/// The id that the storage is formatted with; any will do.
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// How long it may take to start, also after it was killed.
const START_MAX: Duration = Duration::from_mins(1);

/// What the controller says when it has given a broker up.
const GIVEN_UP: &str = "Fencing broker 1";

/// Has the controller say what it decides.
const CONTROLLER_LOG: &str = "appenders=console\n\
                              appender.console.type=Console\n\
                              appender.console.name=CONSOLE\n\
                              appender.console.layout.type=PatternLayout\n\
                              appender.console.layout.pattern=%m%n\n\
                              rootLogger.level=WARN\n\
                              rootLogger.appenderRefs=console\n\
                              rootLogger.appenderRef.console.ref=CONSOLE\n\
                              logger.controller.name=org.apache.kafka.controller\n\
                              logger.controller.level=INFO\n";
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
    /// The controller, if it is one of its own, and how often it had given the broker up when that was killed.
    controller: Option<(Process, AtomicUsize)>,
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
        let this = Self::new(ports, &SMALL).await;
        this.format("server", &this.settings("broker,controller"), true).await;
        this.launch().await;
        this
    }

    /// Starts a broker that is to be fast, with 1 GiB of memory.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub async fn start_for_measuring() -> Self {
        let this = Self::new(Ports::find(), &LARGE).await;
        this.format("server", &this.settings("broker,controller"), true).await;
        this.launch().await;
        this
    }

    /// Starts a broker that can be killed: its controller is a process of its own, as in any cluster of several machines.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub async fn mortal(ports: Ports) -> Self {
        let mut this = Self::new(ports, &SMALL).await;
        this.format("server", &this.settings("broker"), false).await;
        this.format("controller", &this.controller_settings(), true).await;
        let log = this.folder.path().join("controller-log.properties");
        fs::write(&log, CONTROLLER_LOG).unwrap();
        let log = format!("-Dlog4j2.configurationFile={}", log.display());
        let launch = this.java.launch("kafka.Kafka", &[&log]);
        let process = launch.arg(this.folder.path().join("controller.properties")).start();
        this.controller = Some((process, AtomicUsize::new(0)));
        this.launch().await;
        this
    }

    async fn new(ports: Ports, options: &'static [&'static str]) -> Self {
        let java = tokio::task::spawn_blocking(|| fetch(options)).await.unwrap();
        let folder = Temporary::new("kafka");
        Self { ports, java, running: Mutex::new(None), controller: None, folder }
    }

    /// Returns where clients reach it.
    #[must_use]
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.clients)
    }

    /// Returns where clients reach it through a proxy.
    #[must_use]
    pub fn proxied(&self) -> String {
        format!("127.0.0.1:{}", self.ports.advertised)
    }

    /// Returns a prefix for the names of one test.
    #[must_use]
    pub fn prefix(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("test{}.", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Kills the broker with `SIGKILL`.
    ///
    /// # Panics
    ///
    /// It is not one of [`mortal`](Self::mortal).
    pub async fn kill(&self) {
        let (controller, before) = self.controller.as_ref().expect("a broker that can be killed");
        before.store(given_up(controller), Ordering::Relaxed);
        let process = self.running().take().expect("the broker is not running");
        process.kill().await;
    }

    /// Starts the broker again after [`kill`](Self::kill), on the same ports and data, and waits until it answers.
    ///
    /// It begins when the controller has given the old one up. A broker that is back sooner, and is the only one, takes
    /// itself for what it was; when it is then given up, partitions have no leader for a moment, and Kafka 4.3 throws the
    /// markers away that decide transactions in them: those hang for ever.
    ///
    /// # Panics
    ///
    /// It does not answer in time.
    pub async fn restart(&self) {
        let (controller, before) = self.controller.as_ref().expect("a broker that can be killed");
        let before = before.load(Ordering::Relaxed);
        eventually(START_MAX, "the controller has given the broker up", async || {
            (given_up(controller) > before).then_some(())
        })
        .await;
        self.launch().await;
    }

    async fn launch(&self) {
        let settings = self.folder.path().join("server.properties");
        let process = self.java.launch("kafka.Kafka", &[]).arg(settings).start();
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

    /// Formats what a process keeps, by settings that are written for it.
    async fn format(&self, name: &str, settings: &str, is_controller: bool) {
        let path = self.folder.path().join(format!("{name}.properties"));
        let data = self.folder.path().join(name);
        fs::write(&path, format!("{settings}log.dirs={}\n", data.display())).unwrap();
        let tool = self.java.launch("kafka.tools.StorageTool", &[]).arg("format");
        let tool = if is_controller { tool.arg("--standalone") } else { tool };
        let (status, output) =
            tool.args(["-t", CLUSTER, "-c"]).arg(path).start().exit(START_MAX).await;
        assert!(status.success(), "format the storage of {name}: {output:#?}");
    }

    /// Returns what a controller alone needs.
    fn controller_settings(&self) -> String {
        let Ports { controller, .. } = self.ports;
        format!(
            "process.roles=controller\n\
             node.id=2\n\
             listeners=CONTROLLER://127.0.0.1:{controller}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
             broker.session.timeout.ms=3000\n"
        )
    }

    /// Returns what a single broker needs that is this.
    fn settings(&self, roles: &str) -> String {
        let Ports { clients, proxied, advertised, controller } = self.ports;
        let own = match roles {
            "broker" => String::new(),
            _ => format!(",CONTROLLER://127.0.0.1:{controller}"),
        };
        format!(
            "process.roles={roles}\n\
             node.id=1\n\
             listeners=PLAINTEXT://127.0.0.1:{clients},PROXIED://127.0.0.1:{proxied}{own}\n\
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
             log.segment.bytes=16777216\n"
        )
    }

    fn running(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns how often a controller has given its broker up.
fn given_up(controller: &Process) -> usize {
    controller.output().lines().filter(|line| line.contains(GIVEN_UP)).count()
}

impl Java {
    fn launch(&self, class: &str, properties: &[&str]) -> Launch {
        let jars = format!("{}/*", self.jars.display());
        let launch = Launch::new(&self.program).args(self.options).args(properties);
        launch.args(["-cp", &jars, class])
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
