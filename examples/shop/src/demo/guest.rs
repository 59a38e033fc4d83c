//! Guests who click around in the shop's page, in a browser.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use axum::{
    Router,
    http::header,
    response::Html,
    routing::{get, post},
};
use tokio::{process::Command, sync::Notify};

/// How many come, one after the other.
const GUESTS: u32 = 2;

/// How many events each of them has the page tell the relay by its own words: three teas seen, and taken.
const TOLD: u32 = 6;

/// Nobody stays longer.
const STAY_MAX: Duration = Duration::from_secs(30);

/// Where browsers are.
const PATHS: [&str; 5] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// A browser that shows nothing and fetches nothing of its own.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// The guests, and the door through which they leave.
#[derive(Clone, Debug)]
pub(crate) struct Guests {
    browser: Option<PathBuf>,
    gone: Arc<Notify>,
}

impl Guests {
    /// Looks for a browser: `CHROMIUM`, or where it usually is.
    pub(crate) fn find() -> Self {
        let named = env::var_os("CHROMIUM").filter(|path| !path.is_empty()).map(PathBuf::from);
        let usual = || PATHS.iter().map(PathBuf::from).find(|path| path.is_file());
        Self { browser: named.or_else(usual), gone: Arc::default() }
    }

    /// Returns how many events they are to have told when all have left; `None` where there is no browser.
    pub(crate) fn told(&self) -> Option<usize> {
        self.browser.as_ref().map(|_| (GUESTS * TOLD) as usize)
    }

    /// Returns the routes that only guests use.
    pub(crate) fn router(&self) -> Router {
        let script = |text: &'static str| {
            get(async move || ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], text))
        };
        let gone = Arc::clone(&self.gone);
        Router::new()
            .route("/guest.js", script(include_str!("guest/guest.js")))
            .route("/left", get(async || Html(include_str!("guest/left.html"))))
            .route("/left.js", script(include_str!("guest/left.js")))
            .route("/gone", post(async move || gone.notify_one()))
    }

    /// Lets them in, one after the other; returns at once where there is no browser.
    ///
    /// # Errors
    ///
    /// The browser does not start, or a guest has not left in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the browser.
    pub(crate) async fn visit(&self, shop: &str, folder: &Path) -> Result<()> {
        let Some(browser) = &self.browser else { return Ok(()) };
        for guest in 1..=GUESTS {
            let profile = folder.join(format!("guest-{guest}"));
            let mut child = Command::new(browser)
                .args(FLAGS)
                .arg("--remote-debugging-port=0")
                .arg(format!("--user-data-dir={}", profile.display()))
                .arg(format!("{shop}/?guest={guest}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("start {}", browser.display()))?;
            let left = tokio::time::timeout(STAY_MAX, self.gone.notified()).await;
            child.kill().await.context("close the browser")?;
            if left.is_err() {
                bail!("a guest in {} has not left within {STAY_MAX:?}", browser.display());
            }
        }
        Ok(())
    }
}
