//! An S3 server: versitygw over a temporary folder, in which objects lie as files.
//!
//! It needs Go, and the network when it is built for the first time; the program stays under `target/tools`.
//! [`Faults`] is a proxy before it that answers in its stead, holds requests, and breaks connections.

mod faults;

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tidings_cli::postgres::guard::{Guarded, Will};
use tokio::{net::TcpStream, sync::OnceCell};

pub use faults::{Fault, Faults, Request};

use crate::{Temporary, eventually, tool::Tool};

const TOOL: Tool = Tool {
    package: "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
    folder: "versitygw-1.8.0",
    program: "versitygw",
};

/// How long it may take to start.
const START_MAX: Duration = Duration::from_secs(20);

/// The only user, and its secret.
const KEY: &str = "tidings-tests";

/// A running S3 server.
#[derive(Debug)]
pub struct Gateway {
    port: u16,
    folder: Temporary,
    _guarded: Guarded,
}

/// A bucket for one test.
#[derive(Debug)]
pub struct Bucket {
    gateway: Arc<Gateway>,
    name: String,
}

impl Gateway {
    /// Returns the server that all tests in this binary share.
    ///
    /// # Panics
    ///
    /// Go is not installed, or cannot fetch and build it; the message says what to do.
    pub async fn shared() -> Arc<Self> {
        static SHARED: OnceCell<Arc<Gateway>> = OnceCell::const_new();
        Arc::clone(SHARED.get_or_init(async || Arc::new(Self::start().await)).await)
    }

    async fn start() -> Self {
        let program = tokio::task::spawn_blocking(|| TOOL.build()).await.unwrap();
        let folder = Temporary::new("s3");
        // It does not say which port it was given, so one is found for it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (root, meta) = (folder.path().join("root"), folder.path().join("meta"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&meta).unwrap();
        let will = Will { remove: Some(folder.path().to_owned()), ..Will::kill() };
        let guarded = Guarded::spawn(&program, &will, |command| {
            // What a developer's shell may have set for another one.
            for (name, _) in env::vars_os() {
                if name.to_string_lossy().starts_with("VGW_") {
                    command.env_remove(name);
                }
            }
            command.args(["--access", KEY, "--secret", KEY, "--quiet", "--keep-alive"]);
            command.args(["--port", &format!("127.0.0.1:{port}"), "posix"]);
            // Beside the objects, because not every file system has attributes for it.
            command.arg("--sidecar").arg(&meta).arg(&root);
            command.stdout(Stdio::null()).stderr(Stdio::null());
        })
        .unwrap();
        let this = Self { port, folder, _guarded: guarded };
        eventually(START_MAX, "the S3 server answers", async || {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        this
    }

    /// Makes a bucket.
    #[must_use]
    pub fn bucket(self: &Arc<Self>) -> Bucket {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        fs::create_dir(self.root().join(&name)).unwrap();
        Bucket { gateway: Arc::clone(self), name }
    }

    /// Returns its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }
}

impl Bucket {
    /// Makes a bucket of the server that all tests share.
    pub async fn new() -> Self {
        Gateway::shared().await.bucket()
    }

    /// Returns the URL of a folder in it.
    #[must_use]
    pub fn url(&self, folder: &str) -> String {
        format!("s3://{}/{folder}", self.name)
    }

    /// Returns the options by which it is reached.
    #[must_use]
    pub fn options(&self) -> Vec<(String, String)> {
        self.options_at(self.gateway.port)
    }

    /// Returns the options by which it is reached through a proxy at this port.
    #[must_use]
    pub fn options_at(&self, port: u16) -> Vec<(String, String)> {
        [
            ("aws_endpoint", format!("http://127.0.0.1:{port}")),
            ("aws_region", "us-east-1".to_owned()),
            ("aws_access_key_id", KEY.to_owned()),
            ("aws_secret_access_key", KEY.to_owned()),
            ("allow_http", "true".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Opens a proxy before the server, which lets everything through until it is told otherwise.
    pub async fn faults(&self) -> Faults {
        Faults::before(self.gateway.port).await
    }

    /// Returns where its objects lie as files.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.gateway.root().join(&self.name)
    }

    /// Returns the names of all objects below a folder of it, sorted, without the folder.
    #[must_use]
    pub fn names(&self, folder: &str) -> Vec<String> {
        let folder = self.path().join(folder);
        let mut names = Vec::new();
        walk(&folder, &folder, &mut names);
        names.sort();
        names
    }
}

fn walk(root: &Path, folder: &Path, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            walk(root, &entry.path(), names);
        } else {
            names.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}
