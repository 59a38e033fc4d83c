//! The tutorial, followed by the letter: a folder with nothing in it becomes a program with a verified webhook.

use std::{env, fs};

use super::{TUTORIAL, docs, page::Page, root, session::Session};

#[tokio::test(flavor = "multi_thread")]
async fn tutorial_leads_from_an_empty_folder_to_a_verified_webhook() {
    let mut page = Page::read(&docs(), &docs().join(TUTORIAL));
    // The page has the checkout of Tidings beside the program.
    let checkout = format!("path = \"{}/", root().display());
    for block in &mut page.blocks {
        block.text = block.text.replace("path = \"../tidings/", &checkout);
    }
    // target/<profile>/deps/<test>. What the program builds upon is built once, with the example of the other guide.
    let target = env::current_exe().unwrap().ancestors().nth(3).unwrap().join("guide");
    let session = Session::empty().await;
    let mut session = session
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        // The versions that this repository has locked are there, and new ones may not be.
        .env("CARGO_NET_OFFLINE", "true");
    for block in &page.blocks {
        session.follow(block, &page).await;
        let folder = session.current();
        if folder.ends_with("shop") && !folder.join("Cargo.lock").exists() {
            fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        }
    }
    session.end(&page).await;
}
