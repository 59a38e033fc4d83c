//! What every command understands.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, builder::FalseyValueParser};
use ipnet::IpNet;
use tidings::{address::AllowList, endpoint::Policy};

use crate::logging::Format;

/// What every command understands.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print results and errors as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// The database; without it, that of a `tidings up` on the data folder
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,

    /// The folder of the embedded database and its key
    #[arg(
        long,
        global = true,
        env = "TIDINGS_DATA",
        default_value = ".tidings",
        value_name = "FOLDER"
    )]
    pub(crate) data: PathBuf,

    /// The file with the keys that seal secrets; `key` in the data folder where it is not set
    #[arg(long, global = true, env = "TIDINGS_KEY_FILE", value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,

    /// An address or range that webhooks may reach although it is private; repeatable, or with commas
    #[arg(
        long,
        global = true,
        env = "TIDINGS_ALLOW_ADDRESS",
        value_delimiter = ',',
        value_parser = range,
        value_name = "CIDR"
    )]
    pub(crate) allow_address: Vec<IpNet>,

    /// Let webhooks be called in plain http everywhere; in allowed ranges it always may be
    #[arg(long, global = true, env = "TIDINGS_ALLOW_HTTP", value_parser = FalseyValueParser::new())]
    pub(crate) allow_http: bool,

    /// What is logged: off, error, warn, info, debug, trace, or a filter such as `tidings_worker=debug`
    #[arg(long, global = true, env = "TIDINGS_LOG", default_value = "info", value_name = "LEVEL")]
    pub(crate) log_level: String,

    /// What log lines look like
    #[arg(
        long,
        global = true,
        env = "TIDINGS_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub(crate) log_format: Format,
}

impl Global {
    /// Returns which endpoints webhooks may have.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            https_only: !self.allow_http,
            allow: AllowList::new(self.allow_address.iter().copied()),
        }
    }
}

/// Reads a range; an address alone is the range of itself.
fn range(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "neither an address nor a range such as 10.1.0.0/16".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_or_single_address_is_taken() {
        assert_eq!(range("10.1.0.0/16").unwrap().to_string(), "10.1.0.0/16");
        assert_eq!(range(" ::1 ").unwrap().to_string(), "::1/128");
        assert!(range("localhost").is_err());
    }
}
