use std::path::Path;

use super::*;
use crate::sink::files::{codec::Writer, event::Event, spool::Spool};

fn encode(codec: Codec, events: &[String]) -> Bytes {
    let mut writer = Writer::new(codec, Spool::new(Path::new("/nowhere").into())).unwrap();
    for event in events {
        writer.write(Event::read(Bytes::from(event.clone()), codec).unwrap()).unwrap();
    }
    writer.finish().unwrap().0.into_bytes().unwrap()
}

#[test]
fn every_event_is_read_back_as_it_was_written() {
    let events: Vec<_> =
        (0..5_000).map(|n| format!(r#"{{"mid":"m{n}","x":"{}"}}"#, "y".repeat(n % 90))).collect();
    for codec in Codec::ALL {
        for count in [0, 1, events.len()] {
            let mut found = Vec::new();
            let look = |event: Bytes| -> Result<(), String> {
                found.push(String::from_utf8(event.to_vec()).unwrap());
                Ok(())
            };
            decode(codec, encode(codec, &events[..count]), look).unwrap();
            assert!(found == events[..count], "{codec}: {} of {count}", found.len());
        }
    }
}

#[test]
fn file_that_was_cut_is_not_taken_for_a_shorter_one() {
    let events: Vec<_> = (0..5_000).map(|n| format!(r#"{{"mid":"m{n}"}}"#)).collect();
    for codec in Codec::ALL {
        let file = encode(codec, &events);
        let cut = file.slice(..file.len() - 9);
        assert!(decode(codec, cut, |_| Ok::<_, String>(())).is_err(), "{codec}");
    }
}
