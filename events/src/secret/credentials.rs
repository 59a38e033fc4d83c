//! Credentials: what a receiver asks for before it listens.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// The most bytes of the header that credentials become.
pub const CREDENTIALS_BYTES_MAX: usize = 4_096;

/// Credentials for a receiver, sent as the header `authorization`.
///
/// ```
/// use tidings::secret::Credentials;
///
/// let credentials = Credentials::basic("shop", "open sesame")?;
/// assert_eq!(credentials.as_header(), "Basic c2hvcDpvcGVuIHNlc2FtZQ==");
/// assert_eq!(format!("{credentials:?}"), "Credentials(Basic …)");
/// # Ok::<(), tidings::secret::CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct Credentials {
    /// What is sent, printable ASCII.
    header: Zeroizing<String>,
}

/// Credentials that cannot be sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A user name that Basic authentication cannot carry.
    #[error(
        "a user name of Basic authentication is not empty and has neither a colon nor a control character"
    )]
    Username,
    /// A password that Basic authentication cannot carry.
    #[error("a password of Basic authentication has no control character")]
    Password,
    /// A token that no header can carry.
    #[error("a bearer token is not empty, and has printable ASCII characters without spaces")]
    Token,
    /// They are longer than [`CREDENTIALS_BYTES_MAX`].
    #[error(
        "the credentials make a header of {bytes} bytes, and at most {CREDENTIALS_BYTES_MAX} are allowed"
    )]
    Length {
        /// How many bytes the header has.
        bytes: usize,
    },
    /// A subscriber cannot send two of them.
    #[error(
        "the subscriber has credentials, and a header authorization in its configuration; remove one of the two"
    )]
    Twice,
}

impl Credentials {
    /// Returns the credentials of Basic authentication (RFC 7617), in UTF-8.
    ///
    /// # Errors
    ///
    /// The name is empty or has a colon, one of them has a control character, or they are too long.
    pub fn basic(username: &str, password: &str) -> Result<Self, CredentialsError> {
        if username.is_empty() || username.contains(|c: char| c == ':' || c.is_control()) {
            return Err(CredentialsError::Username);
        }
        if password.contains(char::is_control) {
            return Err(CredentialsError::Password);
        }
        let pair = Zeroizing::new(format!("{username}:{password}"));
        Self::new("Basic ", &Zeroizing::new(STANDARD.encode(pair.as_bytes())))
    }

    /// Returns the credentials of a bearer token (RFC 6750).
    ///
    /// # Errors
    ///
    /// It is empty, has a character that cannot be sent, or is too long.
    pub fn bearer(token: &str) -> Result<Self, CredentialsError> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CredentialsError::Token);
        }
        Self::new("Bearer ", token)
    }

    fn new(scheme: &str, value: &str) -> Result<Self, CredentialsError> {
        let bytes = scheme.len() + value.len();
        if bytes > CREDENTIALS_BYTES_MAX {
            return Err(CredentialsError::Length { bytes });
        }
        // Room for all, so that no half of it stays behind in memory.
        let mut header = Zeroizing::new(String::with_capacity(bytes));
        header.push_str(scheme);
        header.push_str(value);
        Ok(Self { header })
    }

    /// Reads what was stored; `None` if it is nothing that [`as_header`](Self::as_header) has returned.
    pub(crate) fn from_stored(bytes: &[u8]) -> Option<Self> {
        let (scheme, value) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
        match scheme {
            "Basic" => Self::new("Basic ", value).ok(),
            "Bearer" => Self::bearer(value).ok(),
            _ => None,
        }
    }

    /// Returns the bearer token; `None` of Basic authentication.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.header.strip_prefix("Bearer ")
    }

    /// Returns the user name and the password of Basic authentication; `None` of a bearer token.
    #[must_use]
    pub fn name_and_password(&self) -> Option<(String, Zeroizing<String>)> {
        let pair = STANDARD.decode(self.header.strip_prefix("Basic ")?).map(Zeroizing::new).ok()?;
        let (name, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
        Some((name.to_owned(), Zeroizing::new(password.to_owned())))
    }

    /// Returns the value of the header `authorization`, printable ASCII.
    #[must_use]
    pub fn as_header(&self) -> &str {
        &self.header
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.header.split(' ').next().unwrap_or_default();
        write!(f, "Credentials({scheme} …)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn name_and_password_are_read_back() {
        let basic = Credentials::basic("shop", "open:s\u{e9}same").unwrap();
        let (name, password) = basic.name_and_password().unwrap();
        assert_eq!((name.as_str(), password.as_str()), ("shop", "open:s\u{e9}same"));
        assert_eq!(Credentials::bearer("dG9rZW4=").unwrap().name_and_password(), None);
    }

    #[test]
    fn credentials_become_the_header_of_their_specification() {
        // RFC 7617, sections 2 and 2.1.
        for (username, password, expected) in [
            ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test", "123£", "Basic dGVzdDoxMjPCow=="),
            ("a", "b:c", "Basic YTpiOmM="),
            ("a", "", "Basic YTo="),
        ] {
            assert_eq!(Credentials::basic(username, password).unwrap().as_header(), expected);
        }
        assert_eq!(
            Credentials::bearer("mF_9.B5f-4.1JqM").unwrap().as_header(),
            "Bearer mF_9.B5f-4.1JqM"
        );
    }

    #[test]
    fn what_could_break_out_of_its_header_is_refused_without_being_quoted() {
        use CredentialsError::{Length, Password, Token, Username};
        let long = "s".repeat(CREDENTIALS_BYTES_MAX);
        for (credentials, expected) in [
            (Credentials::basic("", "s3cr3t"), Username),
            (Credentials::basic("s3cr3t:", "x"), Username),
            (Credentials::basic("s3cr3t\n", "x"), Username),
            (Credentials::basic("x", "s3cr3t\r\n"), Password),
            (Credentials::bearer(""), Token),
            (Credentials::bearer("s3cr3t s3cr3t"), Token),
            (Credentials::bearer("s3cr3t\n"), Token),
            (Credentials::bearer("s3cr3té"), Token),
            (Credentials::bearer(&long), Length { bytes: CREDENTIALS_BYTES_MAX + 7 }),
        ] {
            let error = credentials.unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn what_was_stored_is_read_again_and_nothing_else() {
        for stored in ["", "Basic", "Digest x", "Bearer a b", "Bearer \n"] {
            assert!(Credentials::from_stored(stored.as_bytes()).is_none(), "{stored:?}");
        }
        assert!(Credentials::from_stored(b"Basic \xff").is_none());
    }

    proptest! {
        #[test]
        fn header_is_one_printable_line_and_debug_hides_it(name in "[^:]{1,40}", password in ".{0,40}") {
            for credentials in [Credentials::basic(&name, &password), Credentials::bearer(&password)] {
                let Ok(credentials) = credentials else { continue };
                prop_assert!(credentials.as_header().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                let read = Credentials::from_stored(credentials.as_header().as_bytes()).unwrap();
                prop_assert_eq!(read.as_header(), credentials.as_header());
                let value = credentials.as_header().split(' ').nth(1).unwrap();
                let debug = format!("{credentials:?}");
                prop_assert!(value.len() < 6 || !debug.contains(value));
            }
        }
    }
}
