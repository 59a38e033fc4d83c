//! What was sent, what of it was answered with 200, and how that is compared with what is there.

use std::collections::{BTreeMap, BTreeSet};

/// A request as its sender remembers it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Its events, each by the name under which it is found.
    pub(super) names: Vec<String>,
    /// Whether it was answered with 200, sooner or later.
    pub(super) taken: bool,
}

/// All requests of a load.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(pub(super) Vec<Sent>);

impl Ledger {
    /// Says what is wrong with what was found.
    pub(super) fn faults(&self, found: &[String]) -> Vec<String> {
        let mut counts = BTreeMap::<&str, usize>::new();
        for name in found {
            *counts.entry(name).or_default() += 1;
        }
        let mut faults = Vec::new();
        let sent: BTreeSet<&str> =
            self.0.iter().flat_map(|sent| &sent.names).map(String::as_str).collect();
        for (name, count) in &counts {
            if *count > 1 {
                faults.push(format!("{name} is there {count} times"));
            }
            if !sent.contains(name) {
                faults.push(format!("{name} is there, and nobody has sent it"));
            }
        }
        for sent in &self.0 {
            let there = sent.names.iter().filter(|name| counts.contains_key(name.as_str())).count();
            if sent.taken && there < sent.names.len() {
                faults
                    .push(format!("{:?} was answered with 200, and {there} are there", sent.names));
            }
            if !sent.taken && there != 0 && there != sent.names.len() {
                faults.push(format!("{:?} is there in part: {there} events", sent.names));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_fault_is_found() {
        let sent = |names: &[&str], taken| Sent {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            taken,
        };
        let ledger = Ledger(vec![sent(&["a", "b"], true), sent(&["c", "d"], false)]);
        for (found, faults) in [
            (&["a", "b"] as &[&str], 0),
            (&["a", "b", "c", "d"], 0),
            (&["a"], 1),
            (&["a", "b", "b"], 1),
            (&["a", "b", "c"], 1),
            (&["a", "b", "c", "d", "d"], 1),
            (&["a", "b", "x"], 1),
            (&[], 1),
        ] {
            let names: Vec<String> = found.iter().map(|name| (*name).to_owned()).collect();
            let said = ledger.faults(&names);
            assert_eq!(said.len(), faults, "{found:?} {said:?}");
        }
    }
}
