//! What is said to the engine beside documents: who it is, its template, its indices.

use bytes::Bytes;
use chrono::NaiveDate;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::Value;

use super::{
    options::Storage,
    sender::{Sender, Trouble},
    template::{self, Step},
};
use crate::{sink::http::Request, telemetry};

impl Sender {
    /// Talks to the engine for the first time, and installs the template; tries until it is done.
    pub(super) async fn prepare(&self) {
        let mut trouble = Trouble::default();
        loop {
            match self.try_prepare().await {
                Ok(engine) => {
                    self.go_on(&mut trouble);
                    telemetry::sink_started(&self.options.name, &engine);
                    return;
                }
                Err(reason) => self.wait(&mut trouble, &reason, true).await,
            }
        }
    }

    async fn try_prepare(&self) -> Result<String, String> {
        let root = self.call(Method::GET, &[], None).await?;
        let version = &root["version"];
        let number = version["number"].as_str().unwrap_or_default();
        let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
        let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_opensearch = version["distribution"] == "opensearch";
        let name = if is_opensearch { "OpenSearch" } else { "Elasticsearch" };
        if !(is_opensearch || (major, minor) >= (7, 8)) {
            return Err(format!(
                "this is neither OpenSearch nor Elasticsearch 7.8 or later, but says version `{number}`"
            ));
        }
        if self.options.template {
            self.install().await?;
        }
        Ok(format!("{name} {number}"))
    }

    async fn install(&self) -> Result<(), String> {
        let (name, stem) = (&self.options.name, self.options.stem());
        let path = ["_index_template", &stem];
        let found = match self.call(Method::GET, &path, None).await {
            Err(error) if error.starts_with("answered 404") => None,
            found => Some(found?),
        };
        let ours = self.options.template();
        match template::step(&ours, found.as_ref()) {
            Step::Keep => {}
            Step::Leave => telemetry::template_left(name, &stem),
            Step::Write => {
                self.call(Method::PUT, &path, Some(&ours)).await?;
                telemetry::template_installed(name, &stem);
            }
        }
        Ok(())
    }

    /// Returns what the engine answers to anything but documents.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Value, String> {
        self.call_url(method, self.url(path), body).await
    }

    /// Returns the same of an address.
    pub(super) async fn call_url(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let headers = self.headers("application/json");
        let response = self.http.send(Request { method, url, headers, body }).await?;
        let value = serde_json::from_slice::<Value>(&response.body).unwrap_or_default();
        match response.status {
            200 | 201 => Ok(value),
            status => {
                let kind = value["error"]["type"].as_str().unwrap_or("no reason given");
                let advice = match status {
                    401 | 403 => "; check its credentials, and what they may do",
                    _ => "",
                };
                Err(format!("answered {status}: {kind}{advice}"))
            }
        }
    }

    /// Makes an index, where the engine does not do so by itself.
    pub(super) async fn create(&self, index: &str) -> Result<(), String> {
        let path: &[&str] = match self.options.storage {
            Storage::Daily => &[index],
            Storage::DataStream => &["_data_stream", index],
        };
        match self.call(Method::PUT, path, None).await {
            Err(error) if error.contains("resource_already_exists_exception") => Ok(()),
            made => made.map(drop),
        }
    }

    pub(super) fn index(&self, day: NaiveDate) -> String {
        match self.options.storage {
            Storage::Daily => format!("{}-{}", self.options.stem(), day.format("%Y.%m.%d")),
            Storage::DataStream => self.options.stem(),
        }
    }

    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.options.url.clone();
        // Every http URL has a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    pub(super) fn headers(&self, content_type: &'static str) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers
    }
}
