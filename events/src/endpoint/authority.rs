//! The certificates that an endpoint of a private authority is trusted by.
//!
//! Only the envelope is read here: PEM texts (RFC 7468) of which each is a certificate. Whether a certificate is one is
//! for the library that will trust it.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::EndpointError;

/// The longest text, in bytes: room for a few certificates within the configuration.
pub const CA_BYTES_MAX: usize = 32_768;

/// The most certificates in it.
pub const CA_COUNT_MAX: usize = 16;

/// Reads the certificates of `text`, each as its DER; at least one.
///
/// What stands between the texts is left out, because many tools write a description there.
///
/// # Errors
///
/// It is too long, has something else than certificates, or none.
pub fn read_authorities(text: &str) -> Result<Vec<Vec<u8>>, EndpointError> {
    if text.len() > CA_BYTES_MAX {
        return Err(EndpointError::CaBytes { bytes: text.len() });
    }
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").ok_or(EndpointError::CaPem)?;
        if label.contains("PRIVATE KEY") {
            return Err(EndpointError::CaPrivateKey);
        }
        if label != "CERTIFICATE" {
            return Err(EndpointError::CaPem);
        }
        let (body, after) =
            after.split_once("-----END CERTIFICATE-----").ok_or(EndpointError::CaPem)?;
        found.push(decode(body).ok_or(EndpointError::CaPem)?);
        rest = after;
    }
    match found.len() {
        0 => Err(EndpointError::CaPem),
        1..=CA_COUNT_MAX => Ok(found),
        count => Err(EndpointError::CaCount { count }),
    }
}

/// Returns the bytes of a body, which are those of an ASN.1 sequence.
fn decode(body: &str) -> Option<Vec<u8>> {
    let encoded: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(encoded).ok().filter(|der| der.first() == Some(&0x30))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        let body = STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn certificates_are_read_whatever_stands_between_them() {
        let (one, two) = ([0x30, 1], [0x30, 2]);
        let text = format!(
            "subject: one\r\n{}\nissuer: two\n{}",
            pem("CERTIFICATE", &one).replace('\n', "\r\n"),
            pem("CERTIFICATE", &two)
        );
        assert_eq!(read_authorities(&text).unwrap(), [one, two]);
    }

    #[test]
    fn private_key_is_refused_wherever_it_stands_and_never_quoted() {
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            let key = pem(label, &[0x30, 7]);
            for text in [key.clone(), format!("{}{key}", pem("CERTIFICATE", &[0x30]))] {
                let error = read_authorities(&text).unwrap_err();
                assert_eq!(error, EndpointError::CaPrivateKey);
                assert!(error.to_string().contains("replace the key"), "{error}");
            }
        }
    }

    #[test]
    fn text_that_is_no_certificate_is_refused() {
        for text in [
            String::new(),
            "hello".to_owned(),
            "-----BEGIN ".to_owned(),
            "-----BEGIN CERTIFICATE-----\nMAA=".to_owned(),
            "-----BEGIN CERTIFICATE-----\nM!==\n-----END CERTIFICATE-----".to_owned(),
            pem("CERTIFICATE", b"no sequence"),
            pem("CERTIFICATE REQUEST", &[0x30]),
            pem("PUBLIC KEY", &[0x30]),
        ] {
            assert_eq!(read_authorities(&text), Err(EndpointError::CaPem), "{text}");
        }
    }

    #[test]
    fn number_and_size_are_bounded() {
        let one = pem("CERTIFICATE", &[0x30, 1]);
        assert!(read_authorities(&one.repeat(CA_COUNT_MAX)).is_ok());
        let count = CA_COUNT_MAX + 1;
        assert_eq!(read_authorities(&one.repeat(count)), Err(EndpointError::CaCount { count }));
        let bytes = CA_BYTES_MAX + 1;
        let long = " ".repeat(bytes);
        assert_eq!(read_authorities(&long), Err(EndpointError::CaBytes { bytes }));
    }

    proptest! {
        #[test]
        fn any_text_gets_a_verdict(parts in proptest::collection::vec("(-----BEGIN |CERTIFICATE|-----|-----END CERTIFICATE-----|MAA=|\n| )", 0..12)) {
            if let Ok(found) = read_authorities(&parts.concat()) {
                prop_assert!(!found.is_empty() && found.iter().all(|der| der[0] == 0x30));
            }
        }
    }
}
