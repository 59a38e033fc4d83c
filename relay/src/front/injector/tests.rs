use proptest::prelude::*;

use super::*;

fn injector(policy: &str) -> Injector {
    let place = Place { scheme: "https".to_owned(), host: "shop.example".to_owned() };
    let mut policies = Policies::default();
    policies.add(policy);
    Injector::new(" data-key=\"k\"".to_owned(), place, policies)
}

/// Feeds a page in chunks, and returns what comes out and what has become of it.
fn run<'a>(policy: &str, chunks: impl IntoIterator<Item = &'a [u8]>) -> (String, Outcome) {
    let mut injector = injector(policy);
    let mut page = Vec::new();
    for chunk in chunks {
        page.extend_from_slice(&injector.feed(Bytes::copy_from_slice(chunk)));
    }
    page.extend_from_slice(&injector.end());
    (String::from_utf8(page).unwrap(), injector.outcome().unwrap())
}

const SCRIPT: &str = "<script src=\"/tidings.js\" defer data-key=\"k\"></script>";

#[test]
fn script_goes_to_the_end_of_the_head_as_browsers_see_it() {
    // `^` is where it goes.
    for page in [
        "<!doctype html><html><head><title>a</title>^</head><body></body></html>",
        "\u{feff}<!DOCTYPE html>\n<HTML><HEAD>^</HEAD  ><body>",
        "<html><head><!-- </head> --><script>'</head>'</script><style></head></style>^</head>",
        "<!-- a --><?xml version='1.0'?><!doctype html><meta name=\"</head>\"><title></head></title>^<body>",
        "<!doctype html><head><noscript><img src=x></noscript><template><p></p></template>^</head>",
        "<!doctype html><head><!--><title>a</title>^<p>b",
        "<!doctype html><head><SCRIPT>if (a </b>/) {}</SCRIPT ><link rel=a>^</head>",
        "<!doctype html>^Hello",
        "<!doctype html>^< b",
        "<html>^</html>",
    ] {
        let (before, after) = page.split_once('^').unwrap();
        let plain = format!("{before}{after}");
        let expected = format!("{before}{SCRIPT}{after}");
        assert_eq!(run("", [plain.as_bytes()]), (expected.clone(), Outcome::Injected), "{page}");
        // However it is cut.
        assert_eq!(run("", plain.as_bytes().chunks(1)).0, expected, "{page}");
        for at in 0..plain.len() {
            let (first, last) = plain.as_bytes().split_at(at);
            assert_eq!(run("", [first, last]).0, expected, "{page}, cut at {at}");
        }
    }
}

#[test]
fn what_is_no_document_stays_as_it_is() {
    for page in [
        "",
        "<div>a part of a page</div></head>",
        "{\"json\": \"</head>\"}",
        "</head>",
        "<!doctype html><head><title>a",
        "<!doctype html><head><!-- </head>",
        "<title>a</title></head>",
    ] {
        assert_eq!(run("", page.as_bytes().chunks(3)), (page.to_owned(), Outcome::Fragment));
    }
    let endless = format!("<!doctype html><head><meta content=\"{}", "x".repeat(TAG_BYTES_MAX));
    assert_eq!(run("", [endless.as_bytes()]), (endless.clone(), Outcome::Fragment));
}

#[test]
fn page_that_has_the_script_does_not_get_it_again() {
    let page =
        "<!doctype html><head><script src=\"https://relay.example/tidings.js\"></script></head>";
    assert_eq!(run("", [page.as_bytes()]), (page.to_owned(), Outcome::Present));
}

#[test]
fn policies_of_header_and_page_are_obeyed() {
    let page = "<!doctype html><head></head>";
    let (with, outcome) = run("script-src 'nonce-a1=' 'strict-dynamic'", [page.as_bytes()]);
    assert_eq!(outcome, Outcome::Injected);
    assert!(with.contains("data-key=\"k\" nonce=\"a1=\"></script></head>"), "{with}");
    let forbidden = Outcome::Forbidden("script-src");
    assert_eq!(run("script-src cdn.example", [page.as_bytes()]), (page.to_owned(), forbidden));
    let meta = |policy: &str| {
        format!(
            "<!doctype html><head><meta http-equiv=Content-Security-Policy content=\"{policy}\"></head>"
        )
    };
    let (with, _) =
        run("script-src 'self'", [meta("script-src &#39;self&#39; 'nonce-b'").as_bytes()]);
    assert!(with.contains("nonce=\"b\"></script></head>"), "{with}");
    let without = meta("script-src 'none'");
    assert_eq!(run("script-src 'self'", [without.as_bytes()]), (without.clone(), forbidden));
}

#[test]
fn page_whose_addresses_begin_elsewhere_gets_that_of_its_site() {
    let page = "<!doctype html><head><base href=\"https://cdn.example/\"></head>";
    assert!(
        run("", [page.as_bytes()]).0.contains("<script src=\"//shop.example/tidings.js\" defer")
    );
}

#[test]
fn bytes_after_the_script_are_not_copied() {
    let mut injector = injector("");
    injector.feed(Bytes::from_static(b"<!doctype html><body>"));
    let chunk = Bytes::from(vec![b'<'; 1000]);
    assert_eq!(injector.feed(chunk.clone()).as_ptr(), chunk.as_ptr());
}

#[test]
fn bytes_go_on_while_the_head_is_read() {
    let mut injector = injector("");
    let out = injector.feed(Bytes::from_static(b"<!doctype html><head><script>abc</scr"));
    // What may be a part of the end waits.
    assert_eq!(out, "<!doctype html><head><script>a");
    let out = injector.feed(Bytes::from_static(b"ipt><ti"));
    assert_eq!(out, "bc</script>");
}

proptest! {
    #[test]
    fn nothing_is_lost_or_added_but_the_script(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "<!doctype html>", "<html>", "<head>", "</head>", "<body>", "<!--", "-->", "<script>", "</script>", "<p a='>",
            "'>", " ", "x", "<", "</", "<meta content=\"", "\">", "<title>", "</title>", "é",
        ]), 0..20),
        size in 1_usize..9,
    ) {
        let page = pieces.concat();
        let whole = run("", [page.as_bytes()]);
        let cut = run("", page.as_bytes().chunks(size));
        prop_assert_eq!(&whole, &cut);
        let found = whole.0.matches(SCRIPT).count();
        prop_assert_eq!(found, usize::from(whole.1 == Outcome::Injected));
        prop_assert_eq!(whole.0.replacen(SCRIPT, "", 1), page);
    }
}
