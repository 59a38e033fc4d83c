//! What the doctor says.

use serde::Serialize;
use tidings::doctor::{Finding, Severity};

use crate::output::{sheet::Sheet, style::Tone};

/// One check and what it found.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    check: &'static str,
    findings: Vec<Finding>,
}

/// All of them.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The worst that was found: `ok`, `info`, `warning` or `error`.
    verdict: &'static str,
    checks: Vec<Checked>,
}

impl Checked {
    pub(super) const fn new(check: &'static str, findings: Vec<Finding>) -> Self {
        Self { check, findings }
    }
}

impl Report {
    pub(super) fn new(checks: Vec<Checked>) -> Self {
        let all = checks.iter().flat_map(|check| &check.findings);
        let worst = all.map(|found| found.severity).max();
        Self { verdict: worst.map_or("ok", word), checks }
    }

    /// Returns how many findings are errors.
    pub(super) fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    fn count(&self, severity: Severity) -> usize {
        let all = self.checks.iter().flat_map(|check| &check.findings);
        all.filter(|found| found.severity == severity).count()
    }

    pub(super) fn sheet(&self) -> Sheet {
        let mut sheet = Sheet::new();
        for Checked { check, findings } in &self.checks {
            if findings.is_empty() {
                sheet = sheet.toned(check, "ok", Tone::Good);
            }
            for found in findings {
                let said = format!("{}: {} [{}]", word(found.severity), found.what, found.code);
                sheet = sheet.toned(check, said, tone(found.severity));
                sheet = sheet.field("", format!("cure: {}", found.cure));
            }
        }
        sheet.heading(self.summary())
    }

    fn summary(&self) -> String {
        let some = |severity, one: &str, many: &str| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let parts = [
            some(Severity::Error, "error", "errors"),
            some(Severity::Warning, "warning", "warnings"),
            some(Severity::Info, "note", "notes"),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        let found = if parts.is_empty() { "all is well".to_owned() } else { parts.join(", ") };
        format!("{} checks: {found}", self.checks.len())
    }
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

const fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Plain,
        Severity::Warning => Tone::Warning,
        Severity::Error => Tone::Bad,
    }
}
