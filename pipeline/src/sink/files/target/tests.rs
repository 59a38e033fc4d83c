use super::*;

#[test]
fn pauses_grow_to_a_bound_and_leave_half_to_chance() {
    let retry = Retry::default();
    let ms = |attempt, random| retry.pause(attempt, random).as_millis();
    assert_eq!([ms(0, 0), ms(0, u32::MAX)], [100, 200]);
    assert_eq!([ms(3, 0), ms(3, u32::MAX)], [800, 1600]);
    assert_eq!([ms(7, u32::MAX), ms(u32::MAX, u32::MAX)], [10_000, 10_000]);
}

#[test]
fn url_that_opens_nothing_says_why_and_shows_no_secret() {
    let options = ["aws_access_key_id", "aws_secret_access_key"]
        .map(|name| (name.to_owned(), "hunter2".to_owned()));
    let unknown = [("aws_colour".to_owned(), "hunter2".to_owned())];
    for (url, options, expected) in [
        ("bucket", &[][..], "open the object store the URL: relative URL without a base"),
        (
            "ftp://user:hunter2@host/x",
            &[],
            "open the object store ftp://host/x: it begins with none of s3://",
        ),
        (
            "s3://bucket/x",
            &unknown,
            "open the object store s3://bucket/x: it has no option `aws_colour`",
        ),
    ] {
        let error = Store::open(url, options, Retry::default()).unwrap_err().to_string();
        assert!(error.starts_with(expected) && !error.contains("hunter2"), "{error}");
    }
    let store = Store::open("s3://bucket/a/b", &options, Retry::default()).unwrap();
    assert_eq!(format!("{store:?}"), r#"Store { name: "s3://bucket/a/b", .. }"#);
    assert_eq!(store.path("dt=2026-11-22/x.json").as_ref(), "a/b/dt=2026-11-22/x.json");
}

#[tokio::test]
async fn file_is_put_once_and_never_over_another() {
    let store = Store::open("memory:///", &[], Retry::default()).unwrap();
    assert_eq!(store.probe().await.unwrap(), Conditional::Yes);
    let (ours, other) = (Bytes::from_static(b"ours"), Bytes::from_static(b"a longer one"));
    for conditional in [Conditional::Yes, Conditional::No] {
        let name = format!("{conditional:?}");
        let put = async |bytes: &Bytes| {
            store.put(&name, bytes.clone(), &hex(&Sha256::digest(bytes)), conditional).await
        };
        assert_eq!(put(&ours).await.unwrap(), Put::Stored);
        assert_eq!(put(&ours).await.unwrap(), Put::AlreadyThere);
        let refused = put(&other).await.unwrap_err();
        assert!(matches!(&refused, Error::OtherContent { path } if *path == name), "{refused}");
        assert!(!refused.is_transient());
        let found = store.sha256(&store.path(&name)).await.unwrap().unwrap();
        assert_eq!(found, hex(&Sha256::digest(&ours)));
    }
}
