//! Reading what is compressed, within bounds.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::{Limits, Problem};

/// Batches up to this size may be inflated to any ratio: they are small.
const RATIO_FREE_BYTES: usize = 256 * 1024;

/// How much is inflated before the bounds are looked at.
const STEP_BYTES: u64 = 64 * 1024;

/// How much of an archive may still be inflated; what is refused counts too, because it was work.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    pub(super) const fn new(bytes: usize) -> Self {
        Self { left: bytes }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Problem> {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or_default();
        left.map(drop).ok_or_else(|| {
            let message = "everything in the archive together is too much; share it in parts";
            Problem::new("too_many_bytes", message)
        })
    }
}

/// Reads all of it, `bytes_max` at most.
///
/// # Errors
///
/// It cannot be read, or is too large.
pub(super) fn read(
    mut reader: impl Read,
    bytes_max: usize,
    budget: &mut Budget,
) -> Result<Vec<u8>, Problem> {
    let mut plain = Vec::new();
    loop {
        let before = plain.len();
        let read = reader.by_ref().take(STEP_BYTES).read_to_end(&mut plain);
        budget.spend(plain.len() - before)?;
        read.map_err(|error| broken(&error))?;
        if plain.len() == before {
            return Ok(plain);
        }
        if plain.len() > bytes_max {
            let message = format!("it has more than {bytes_max} bytes; no batch is so large");
            return Err(Problem::new("item_too_large", message));
        }
    }
}

/// Undoes gzip.
///
/// # Errors
///
/// It is no gzip, ends too early, or becomes too large.
pub(super) fn gunzip(
    gzip: &[u8],
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Vec<u8>, Problem> {
    let ratio_bytes = gzip.len().saturating_mul(limits.ratio_max).max(RATIO_FREE_BYTES);
    let bytes_max = limits.batch_bytes_max.min(ratio_bytes);
    let read = read(MultiGzDecoder::new(gzip), bytes_max, budget);
    read.map_err(|problem| match problem.code {
        "item_too_large" if ratio_bytes < limits.batch_bytes_max => {
            let message = format!("it inflates to more than {} times its size", limits.ratio_max);
            Problem::new("suspicious_compression", message)
        }
        _ => problem,
    })
}

fn broken(error: &io::Error) -> Problem {
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends too early; share it again",
        _ => "it cannot be inflated; share it again",
    };
    Problem::new("broken_file", message)
}
