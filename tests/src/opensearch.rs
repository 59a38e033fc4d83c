//! A node of OpenSearch, in one JVM on loopback.
//!
//! It needs a JDK (17 or later) and Maven, and the network when it is fetched for the first time: 53 MB, which stay under
//! `target/tools` (and in Maven's own folder). A node takes ten seconds to start and half a gigabyte of memory, so tests
//! share one, each with a prefix of its own for its indices; those that need other limits start another one.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, id},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{Launch, Process, Temporary, eventually, tool};

/// What is fetched, with its version: Maven checks its digests.
const POM: &str = include_str!("opensearch/pom.xml");

/// What starts it.
const NODE: &str = include_str!("opensearch/Node.java");

/// The goal that fetches it, of a version of its own so that no other plugin is resolved.
const FETCH: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// The folder of this version below `target/tools`.
const FOLDER: &str = "opensearch-2.19.1";

/// How long it may take to start, beside other tests.
const START_MAX: Duration = Duration::from_mins(5);

/// A running node.
#[derive(Debug)]
pub struct OpenSearch {
    port: u16,
    settings: Vec<String>,
    process: Mutex<Option<Process>>,
    // After the process in this order, so that it is gone before its folder.
    folder: Temporary,
}

impl OpenSearch {
    /// Returns the node that all tests of this binary share.
    pub async fn shared() -> Arc<Self> {
        static SHARED: OnceCell<Arc<OpenSearch>> = OnceCell::const_new();
        Arc::clone(SHARED.get_or_init(async || Arc::new(Self::start(&[]).await)).await)
    }

    /// Starts a node of its own, with settings such as `thread_pool.write.queue_size=1`.
    ///
    /// # Panics
    ///
    /// There is no JDK or no Maven, or it cannot be fetched; the message says what to do.
    pub async fn start(settings: &[&str]) -> Self {
        // It does not say which port it was given, so one is found for it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let folder = Temporary::in_memory("opensearch");
        let node = Self { port, settings, process: Mutex::new(None), folder };
        node.start_again().await;
        node
    }

    /// Kills the node, as a crash of its machine would; what it has said yes to is on disk.
    pub async fn kill(&self) {
        let process = self.process().take().expect("the node is not running");
        process.kill().await;
    }

    /// Starts the node again after [`kill`](Self::kill), at the same address with the same data.
    pub async fn start_again(&self) {
        let folder = tokio::task::spawn_blocking(build).await.unwrap();
        let (classes, library) = (folder.join("classes"), folder.join("lib/*"));
        let process = Launch::new("java")
            .args(["-Xms512m", "-Xmx512m", "-XX:+UseSerialGC"])
            .arg("--add-opens=java.base/java.lang=ALL-UNNAMED")
            .arg("-cp")
            .arg(format!("{}:{}", classes.display(), library.display()))
            .arg("Node")
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .args(&self.settings)
            .start();
        process.line("tidings: ready", START_MAX).await;
        *self.process() = Some(process);
        eventually(START_MAX, "the node answers", async || {
            let health = self.try_call(Method::GET, "_cluster/health", &Value::Null).await;
            health.filter(|(status, health)| *status == 200 && health["status"] != "red")
        })
        .await;
    }

    /// Returns its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns a prefix that no other test has.
    #[must_use]
    pub fn prefix(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("t{}-{}-", id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a request that has to succeed, and returns the answer.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let (status, answer) = self.try_call(method, path, body).await.unwrap();
        assert!((200..300).contains(&status), "{path} was answered {status}: {answer}");
        answer
    }

    /// Sends a request, and returns status and answer; none where there is no answer.
    pub async fn try_call(&self, method: Method, path: &str, body: &Value) -> Option<(u16, Value)> {
        // Whoever comes second finds it installed; nothing here is encrypted.
        drop(rustls::crypto::ring::default_provider().install_default());
        // Its connections belong to the runtime of the test, so it is none of the node's.
        let client = Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method, format!("{}/{path}", self.url()));
        request = request.timeout(Duration::from_secs(30));
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// Returns the documents of the indices that match, by id, as index and source; up to 10,000.
    pub async fn documents(&self, pattern: &str) -> Vec<(String, String, Value)> {
        self.call(Method::POST, &format!("{pattern}/_refresh"), &Value::Null).await;
        let query = json!({"size": 10_000, "query": {"match_all": {}}});
        let found = self.call(Method::POST, &format!("{pattern}/_search"), &query).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let hits = found["hits"]["hits"].as_array().unwrap().iter();
        let mut documents: Vec<_> = hits
            .map(|hit| (text(&hit["_id"]), text(&hit["_index"]), hit["_source"].clone()))
            .collect();
        documents.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        documents
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the folder of the program; fetches and compiles it once, and never twice at the same time.
fn build() -> PathBuf {
    let folder = tool::folder(FOLDER);
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let done = folder.join("done");
    if !done.is_file() {
        fs::write(folder.join("pom.xml"), POM).unwrap();
        fs::write(folder.join("Node.java"), NODE).unwrap();
        let fetch = ["-B", "-q", FETCH, "-DoutputDirectory=lib"];
        call(&folder, "mvn", &fetch);
        call(&folder, "javac", &["-d", "classes", "-cp", "lib/*", "Node.java"]);
        File::create(done).unwrap();
    }
    folder
}

fn call(folder: &Path, program: &str, arguments: &[&str]) {
    let called = Command::new(program).args(arguments).current_dir(folder).output();
    let called = called.unwrap_or_else(|error| {
        panic!(
            "{program}: {error}: install a JDK, 17 or later, and Maven: apt-get install default-jdk-headless maven, or brew install openjdk maven"
        )
    });
    let said = String::from_utf8_lossy(&called.stdout);
    let failed = String::from_utf8_lossy(&called.stderr);
    assert!(called.status.success(), "{program} {arguments:?}: {said}{failed}");
}
