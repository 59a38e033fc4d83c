//! The crate `segment`, told what to do: a command a line on standard input, an answer a line on standard output.

use std::io::{BufRead, stdin};

use segment::{
    AutoBatcher, Batcher, HttpClient,
    message::{BatchMessage, Track, User},
};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let settings: Value = serde_json::from_str(&std::env::args().nth(1).unwrap()).unwrap();
    let text = |name: &str| settings[name].as_str().unwrap().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let client = HttpClient::new(http, text("url"));
    let mut batcher = AutoBatcher::new(client, Batcher::new(None), text("key"));
    println!("\"open\"");
    for line in stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(command["word"], "send");
        let mut error = None;
        for n in command["numbers"].as_array().unwrap() {
            let track = Track {
                user: User::UserId { user_id: text("device") },
                event: "cart:opened".to_owned(),
                properties: json!({"n": n}),
                ..Track::default()
            };
            let pushed = batcher.push(BatchMessage::Track(track)).await;
            error = error.or(pushed.err().map(|error| format!("{error:?}")));
        }
        let flushed = batcher.flush().await;
        error = error.or(flushed.err().map(|error| format!("{error:?}")));
        println!("{}", json!(error));
    }
}
