use std::{collections::BTreeMap, io::Read as _, path::Path};

use bytes::Bytes;
use flate2::read::GzDecoder;
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::Field,
};
use proptest::prelude::*;

use super::*;
use crate::sink::files::table::GROUP_BYTES;

fn event(number: usize, edata: &str) -> String {
    format!(
        r#"{{"eid":"IMPRESSION","ets":{ets},"ver":"3.0","mid":"m{number}","syncts":{syncts},"actor":{{"id":"a{actor}"}},"context":{{"channel":"c","did":"d{actor}","env":"home","sid":"s\n","pdata":{{"id":"p","pid":"app"}}}},"object":{{"id":"o","type":"Page"}},"edata":{edata},"metadata":{{"id":"{number:040x}"}}}}"#,
        ets = 1_763_769_600_000_u64 + number as u64,
        syncts = 1_763_769_700_000_u64,
        actor = number % 7,
    )
}

fn encode(codec: Codec, events: &[String]) -> Bytes {
    let spool = Spool::new(Path::new("/nowhere").into());
    let mut writer = Writer::new(codec, spool).unwrap();
    for event in events {
        writer.write(Event::read(Bytes::from(event.clone()), codec).unwrap()).unwrap();
    }
    let (spooled, count) = writer.finish().unwrap();
    assert_eq!(count, events.len() as u64);
    spooled.into_bytes().unwrap()
}

fn lines(codec: Codec, bytes: &Bytes) -> String {
    let mut text = String::new();
    match codec {
        Codec::JsonlGzip => GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap(),
        _ => zstd::Decoder::new(&bytes[..]).unwrap().read_to_string(&mut text).unwrap(),
    };
    text
}

/// Reads a file of columns, each row by the names of what it has.
fn rows(bytes: &Bytes) -> Vec<BTreeMap<String, Field>> {
    let reader = SerializedFileReader::new(bytes.clone()).unwrap();
    let row = |row: parquet::errors::Result<parquet::record::Row>| {
        let columns = row.unwrap().into_columns().into_iter();
        columns.filter(|(_, field)| *field != Field::Null).collect()
    };
    reader.get_row_iter(None).unwrap().map(row).collect()
}

/// A retry compares hashes: whatever would differ from one writing to the next would stop the sink.
#[test]
fn same_events_are_the_same_bytes() {
    let events: Vec<_> = (0..3_000).map(|n| event(n, r#"{"pageid":"home"}"#)).collect();
    for codec in Codec::ALL {
        assert_eq!(encode(codec, &events), encode(codec, &events), "{codec}");
        assert_ne!(encode(codec, &events), encode(codec, &events[1..]), "{codec}");
    }
}

#[test]
fn columns_are_read_back_by_name() {
    let events = [event(5, r#"{"x":[1]}"#), r#"{"mid":7}"#.to_owned()];
    let rows = rows(&encode(Codec::Parquet, &events));
    let text = |text: &str| Field::Str(text.to_owned());
    let expected = BTreeMap::from([
        ("id".to_owned(), text(&format!("{:040x}", 5))),
        ("mid".to_owned(), text("m5")),
        ("eid".to_owned(), text("IMPRESSION")),
        ("ets".to_owned(), Field::TimestampMillis(1_763_769_600_005)),
        ("syncts".to_owned(), Field::TimestampMillis(1_763_769_700_000)),
        ("device".to_owned(), text("d5")),
        ("actor".to_owned(), text("a5")),
        ("channel".to_owned(), text("c")),
        ("pdata_id".to_owned(), text("p")),
        ("pid".to_owned(), text("app")),
        ("env".to_owned(), text("home")),
        ("sid".to_owned(), text("s\n")),
        ("object_id".to_owned(), text("o")),
        ("object_type".to_owned(), text("Page")),
        ("edata".to_owned(), text(r#"{"x":[1]}"#)),
        ("event".to_owned(), text(&events[0])),
    ]);
    assert_eq!(rows[0], expected);
    let sparse = [("mid".to_owned(), text("7")), ("event".to_owned(), text(&events[1]))];
    assert_eq!((rows.len(), &rows[1]), (2, &BTreeMap::from(sparse)));
}

#[test]
fn groups_of_rows_are_bounded() {
    let edata = format!(r#"{{"x":"{}"}}"#, "y".repeat(500_000));
    let events: Vec<_> = (0..40).map(|n| event(n, &edata)).collect();
    let file = encode(Codec::Parquet, &events);
    let reader = SerializedFileReader::new(file.clone()).unwrap();
    let groups = reader.metadata().row_groups();
    assert_eq!(groups.len(), (40 * 500_000_usize).div_ceil(GROUP_BYTES));
    assert!(groups.iter().all(|group| group.num_rows() <= 17), "{groups:?}");
    assert_eq!(rows(&file).len(), 40);
}

#[test]
fn words_are_read_as_they_are_written() {
    for codec in Codec::ALL {
        assert_eq!(codec.to_string().parse::<Codec>().unwrap(), codec);
        assert_eq!(serde_json::to_value(codec).unwrap(), codec.as_str());
    }
    assert_eq!(
        "csv".parse::<Codec>().unwrap_err().to_string(),
        "`csv` is not a codec; write jsonl.gz, jsonl.zst or parquet"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_event_is_one_line_whole_and_in_order(sizes in proptest::collection::vec(0_usize..60_000, 0..20)) {
        let edata = |size: &usize| format!("\"{}\"", "z".repeat(*size));
        let events: Vec<_> =
            sizes.iter().enumerate().map(|(number, size)| event(number, &edata(size))).collect();
        let expected: String = events.iter().flat_map(|event| [event.as_str(), "\n"]).collect();
        for codec in [Codec::JsonlGzip, Codec::JsonlZstd] {
            prop_assert_eq!(&lines(codec, &encode(codec, &events)), &expected);
        }
        let texts: Vec<_> = rows(&encode(Codec::Parquet, &events))
            .into_iter()
            .map(|row| row["event"].to_string())
            .collect();
        let quoted: Vec<_> = events.iter().map(|event| Field::Str(event.clone()).to_string()).collect();
        prop_assert_eq!(texts, quoted);
    }
}
