//! A client in Node or in Chromium that does what a test tells it, one command at a time.

use std::{
    env,
    path::{Component, Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tidings_tests::{Launch, Process, Temporary};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Mutex, mpsc},
};

use crate::languages::toolchain::{Program, advice};

/// The folder of the programs.
const SOURCE: &str = "tests/clients";

/// Long enough for a browser to start on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where Chromium is, on Debian, Ubuntu and macOS.
const BROWSERS: [&str; 5] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// What keeps a browser from asking anybody else, and from needing a screen.
const FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A running client.
#[derive(Debug)]
pub(super) enum Client {
    /// A program, in Node for example.
    Program(Box<Piped>),
    /// A page in Chromium.
    Browser(Browser),
}

/// What a client is told at its start.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Its name: that of its module in `tests/clients`.
    pub(super) client: &'static str,
    /// Where it sends.
    pub(super) url: String,
    /// Its key.
    pub(super) key: String,
    /// What differs from one client to another.
    pub(super) more: Value,
}

impl Settings {
    fn json(&self) -> Value {
        let Self { client, url, key, more } = self;
        let mut settings =
            json!({"client": client, "url": url, "key": key, "device": format!("device-{client}")});
        if let (Value::Object(settings), Value::Object(more)) = (&mut settings, more) {
            settings.extend(more.clone());
        }
        settings
    }
}

impl Client {
    /// Starts a program in Node.
    pub(super) async fn node(settings: &Settings) -> Self {
        let folder = Program::node(SOURCE, "node.mjs").await.folder;
        let mut command = Command::new("node");
        command.args(["node.mjs", settings.client]).current_dir(folder);
        Self::start(command, settings).await
    }

    /// Starts the program of a crate in a folder beside those of Node.
    pub(super) async fn cargo(settings: &Settings) -> Self {
        let program = Program::cargo(&format!("{SOURCE}/{}", settings.client)).await;
        Self::start(Command::new(program.path), settings).await
    }

    async fn start(mut command: Command, settings: &Settings) -> Self {
        command.arg(settings.json().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        // What an SDK logs of each failure is not the test's business.
        command.stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|_| panic!("{}", advice("node")));
        let stdin = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut piped = Piped { child, stdin, answers };
        assert_eq!(piped.answer().await, "open");
        Self::Program(Box::new(piped))
    }

    /// Opens a page in Chromium that has these scripts, paths below `node_modules`, and sends to `url` what it posts to
    /// its own server.
    pub(super) async fn browser(settings: &Settings, scripts: &[&str]) -> Self {
        let folder = Program::node(SOURCE, "browser.mjs").await.folder;
        let (commands, told) = mpsc::channel(1);
        let (answer, answers) = mpsc::channel(1);
        let scripts = scripts.iter().map(|path| format!("<script src=\"/node_modules/{path}\">"));
        let scripts = scripts.collect::<Vec<_>>().join("</script>\n");
        let page = format!(
            "<!doctype html><title>shop</title><form id=\"order\"><input id=\"name\"></form>\n\
             {scripts}</script>\n<script type=\"module\" src=\"/browser.mjs\"></script>"
        );
        let shared = Arc::new(Site {
            folder,
            page,
            settings: settings.json(),
            upstream: settings.url.clone(),
            http: http(),
            told: Mutex::new(told),
            answer,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let site = tokio::spawn(async move { axum::serve(listener, site(shared)).await.unwrap() });
        let profile = Temporary::new("chromium");
        let path = env::var_os("CHROMIUM").map(PathBuf::from);
        let path = path.or_else(|| BROWSERS.map(PathBuf::from).into_iter().find(|it| it.exists()));
        let path = path.unwrap_or_else(|| panic!("{}", advice("chromium")));
        let launch = Launch::new(path).args(FLAGS);
        let launch = launch.arg(format!("--user-data-dir={}", profile.path().display()));
        let process = launch.arg(url).start();
        let mut browser = Browser { process, commands, answers, site, _profile: profile };
        assert_eq!(browser.answer().await, "open");
        Self::Browser(browser)
    }

    /// Tells the client something, and returns what it answers.
    pub(super) async fn tell(&mut self, word: &str, numbers: impl Into<Vec<u64>>) -> Value {
        let command = json!({"word": word, "numbers": numbers.into()});
        match self {
            Self::Program(piped) => {
                piped.stdin.write_all(format!("{command}\n").as_bytes()).await.unwrap();
                piped.answer().await
            }
            Self::Browser(browser) => {
                browser.commands.send(command).await.unwrap();
                browser.answer().await
            }
        }
    }

    /// Sends the events with these numbers.
    pub(super) async fn send(&mut self, numbers: std::ops::Range<u64>) -> Value {
        self.tell("send", numbers.collect::<Vec<_>>()).await
    }

    /// Leaves the page, and returns what it says while it goes.
    pub(super) async fn leave(&mut self) -> Value {
        let Self::Browser(browser) = self else { panic!("only a page can be left") };
        browser.commands.send(json!({"word": "leave"})).await.unwrap();
        browser.answer().await
    }
}

/// A client of HTTP that asks nobody else.
pub(super) fn http() -> reqwest::Client {
    // Whoever comes second finds it installed; nothing here is encrypted.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A program that answers on its standard output, and is killed when it is dropped.
#[derive(Debug)]
pub(super) struct Piped {
    child: Child,
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Piped {
    async fn answer(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.answers.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{:?} does not answer", self.child)).unwrap();
        let line = line.unwrap_or_else(|| panic!("{:?} has ended", self.child));
        serde_json::from_str(&line).unwrap()
    }
}

/// A page in Chromium, which is killed when it is dropped.
#[derive(Debug)]
pub(super) struct Browser {
    process: Process,
    commands: mpsc::Sender<Value>,
    answers: mpsc::Receiver<Value>,
    site: tokio::task::JoinHandle<()>,
    // Behind the process, which has files open in it.
    _profile: Temporary,
}

impl Browser {
    async fn answer(&mut self) -> Value {
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv()).await;
        answer.unwrap_or_else(|_| panic!("no answer: {:#?}", self.process.output())).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.site.abort();
    }
}

/// What serves the page.
#[derive(Debug)]
struct Site {
    folder: PathBuf,
    page: String,
    settings: Value,
    upstream: String,
    http: reqwest::Client,
    told: Mutex<mpsc::Receiver<Value>>,
    answer: mpsc::Sender<Value>,
}

fn site(shared: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(async |State(site): State<Arc<Site>>| Html(site.page.clone())))
        .route("/settings", get(async |State(site): State<Arc<Site>>| site.settings.to_string()))
        .route("/commands", get(next))
        .route("/answers", post(answered))
        // The one path that a client uses on the page's own server, as an ingress would have it.
        .route("/v1/telemetry", post(sent_on))
        .fallback(file)
        .with_state(shared)
}

/// Waits for the next command.
async fn next(State(site): State<Arc<Site>>) -> Response {
    match site.told.lock().await.recv().await {
        Some(command) => command.to_string().into_response(),
        None => StatusCode::GONE.into_response(),
    }
}

async fn answered(State(site): State<Arc<Site>>, body: Bytes) {
    // Nobody listens any more when the test is over.
    drop(site.answer.send(serde_json::from_slice(&body).unwrap()).await);
}

async fn sent_on(State(site): State<Arc<Site>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut request = site.http.post(format!("{}/v1/telemetry", site.upstream)).body(body);
    for name in [header::CONTENT_TYPE, header::AUTHORIZATION] {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let Ok(answer) = request.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let status = answer.status();
    match answer.bytes().await {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// Serves a file of the folder.
async fn file(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    let path = Path::new(uri.path().trim_start_matches('/'));
    assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{uri}");
    let kind = match path.extension().and_then(|it| it.to_str()) {
        Some("js" | "mjs") => "text/javascript",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match tokio::fs::read(site.folder.join(path)).await {
        Ok(body) => ([(header::CONTENT_TYPE, kind)], body).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
