//! What is behind the bytes of a capture request.
//!
//! The browser client sends gzip as `text/plain` with `compression=gzip-js` in the query and without a content
//! encoding, and from a page that closes a form with base64 in it.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;

use crate::{
    body::Media,
    credential,
    gate::Room,
    inflate::{Encoding, inflate},
    limits::Limits,
    refusal::Refusal,
};

/// Base64 as browsers write it, with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Returns the JSON of a request.
///
/// # Errors
///
/// A form without `data`, base64 that is none, or what goes wrong with inflating.
pub(super) fn decode(
    media: Media,
    body: Bytes,
    query: &str,
    limits: &Limits,
    room: &Room,
) -> Result<Bytes, Refusal> {
    let mut compression = credential::of_query(query, "compression");
    let body = if media == Media::Form || body.starts_with(b"data=") {
        let form = str::from_utf8(&body)
            .map_err(|_| Refusal::malformed("invalid_payload", "the form is not UTF-8"))?;
        compression = credential::of_query(form, "compression").or(compression);
        let data = credential::of_query(form, "data")
            .ok_or_else(|| Refusal::malformed("missing_data", "the form has no `data`"))?;
        Bytes::from(data)
    } else {
        body
    };
    let body = match compression.as_deref() {
        // Some proxies have undone the base64 already, and some clients say base64 of plain JSON.
        Some("base64") if !looks_like_json(&body) => unpack(&body)?,
        _ if !looks_like_json(&body) && !Encoding::is_gzip(&body) => unpack(&body).unwrap_or(body),
        _ => body,
    };
    if Encoding::is_gzip(&body) { inflate(Encoding::Gzip, body, limits, room) } else { Ok(body) }
}

fn looks_like_json(body: &[u8]) -> bool {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_some_and(|byte| matches!(byte, b'{' | b'['))
}

fn unpack(body: &[u8]) -> Result<Bytes, Refusal> {
    // A plus that was not escaped in a form has become a space.
    let text: Vec<u8> =
        body.trim_ascii().iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect();
    let decoded = BASE64.decode(text);
    decoded
        .map(Bytes::from)
        .map_err(|_| Refusal::malformed("invalid_payload", "`data` is not base64"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use base64::prelude::BASE64_STANDARD;
    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::gate::Gate;

    const JSON: &[u8] = br#"{"event":"view:loaded","properties":{"x":"~~~???>>>"}}"#;

    fn decoded(media: Media, body: impl Into<Bytes>, query: &str) -> Result<Bytes, &'static str> {
        let room = Gate::new(1, 1_000_000).enter().unwrap();
        decode(media, body.into(), query, &Limits::default(), &room).map_err(|refusal| refusal.code)
    }

    fn gzip() -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(JSON).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_form_that_clients_use_gives_the_json() {
        let base64 = BASE64_STANDARD.encode(JSON);
        let escaped: String = url::form_urlencoded::byte_serialize(base64.as_bytes()).collect();
        let json = str::from_utf8(JSON).unwrap();
        let plain: String = url::form_urlencoded::byte_serialize(json.as_bytes()).collect();
        for (media, body, query) in [
            (Media::Json, JSON.to_vec(), ""),
            (Media::Json, gzip(), "compression=gzip-js&ver=1"),
            (Media::Json, gzip(), ""),
            (Media::Form, format!("data={escaped}").into(), "compression=base64"),
            (Media::Form, format!("data={escaped}&compression=base64").into(), ""),
            (Media::Form, format!("data={base64}").into(), "compression=base64"),
            (Media::Form, format!("data={plain}").into(), ""),
            (Media::Json, format!("data={escaped}").into(), ""),
            (Media::Json, base64.clone().into(), "compression=base64"),
            (Media::Json, JSON.to_vec(), "compression=base64"),
        ] {
            assert_eq!(
                decoded(media, body.clone(), query).unwrap(),
                JSON,
                "{media:?} {query} {body:?}"
            );
        }
    }

    #[test]
    fn form_that_is_none_is_refused() {
        assert_eq!(decoded(Media::Form, "x=1", ""), Err("missing_data"));
        assert_eq!(decoded(Media::Form, "data=%FF!", "compression=base64"), Err("invalid_payload"));
        assert_eq!(decoded(Media::Form, vec![0xff], ""), Err("invalid_payload"));
    }
}
