//! The summary at the end: one screen, aligned.

use std::path::Path;

use super::{
    paint::{Paint, count, millis, seconds, size},
    phone::PHONES,
    report::{Analytics, Report, Standing},
    telemetry::{Difference, Telemetry},
};

/// How wide the labels are.
const LABEL: usize = 20;

/// How wide the numbers are.
const NUMBER: usize = 12;

/// Returns the summary, with the verdict at its end; the files of telemetry are in `folder`.
pub(crate) fn render(report: &Report, folder: &Path, paint: Paint) -> String {
    let sections = [
        orders(report, paint),
        subscribers(&report.subscribers, paint),
        analytics(report, paint),
        telemetry(report, folder, paint),
        latency(report, paint),
        verdict(&report.complaints(), paint),
    ];
    sections.map(|lines| lines.join("\n") + "\n").join("\n")
}

fn orders(report: &Report, paint: Paint) -> Vec<String> {
    let title = format!("The shop, in {}", seconds(report.elapsed));
    let types = report.events.iter().map(|(name, number)| {
        format!("{} {}", name.rsplit(':').next().unwrap_or(name), count(*number))
    });
    let types = types.collect::<Vec<_>>().join(", ");
    let rolled_back = "out of stock: the order and its event were rolled back";
    vec![
        paint.bold(&title),
        row("orders taken", &[count(report.told.taken)], ""),
        row("orders rolled back", &[count(report.told.refused)], &paint.dim(rolled_back)),
        row("events registered", &[count(report.registered())], &paint.dim(&types)),
    ]
}

fn subscribers(standings: &[Standing], paint: Paint) -> Vec<String> {
    let names: Vec<_> = standings.iter().map(|standing| standing.name.to_owned()).collect();
    let of_each = |label: &str, number: fn(&Standing) -> u64, note: &str| {
        let numbers: Vec<_> = standings.iter().map(|standing| count(number(standing))).collect();
        row(label, &numbers, &paint.dim(note))
    };
    vec![
        paint.bold(&row("The subscribers", &names, "")),
        of_each("events verified", |of| of.verified as u64, "each counted once"),
        of_each("deliveries", |of| of.lane.delivered, "answered with 2xx"),
        of_each("retries", |of| of.lane.retried, "accounting was down for five seconds"),
        of_each(
            "duplicates",
            |of| of.duplicates,
            "known by their webhook-id; the answer had been lost",
        ),
        of_each("out of order", |of| of.out_of_order, "only the warehouse has asked for order"),
        of_each("dead letters", |of| of.lane.dead, ""),
    ]
}

fn analytics(report: &Report, paint: Paint) -> Vec<String> {
    let names: Vec<_> = report.sinks.iter().map(|sink| sink.name.to_owned()).collect();
    let of_each = |label: &str, number: fn(&Analytics) -> usize, note: &str| {
        let numbers: Vec<_> = report.sinks.iter().map(|of| count(number(of) as u64)).collect();
        row(label, &numbers, &paint.dim(note))
    };
    let of_page = count(report.collected.of_page as u64);
    let visits = match report.guests {
        Some(_) => format!("{of_page} of them by guests in a browser, through the relay"),
        None => {
            "no browser was found, so nobody was in the page; CHROMIUM says where one is".to_owned()
        }
    };
    vec![
        paint.bold(&row("Analytics, anonymous", &names, "")),
        of_each("events recorded", |of| of.recorded.messages, &visits),
        of_each("repeated", |of| of.recorded.repeated, "known by their message ids"),
    ]
}

fn telemetry(report: &Report, folder: &Path, paint: Paint) -> Vec<String> {
    let of = &report.telemetry;
    let browser = if report.guests.is_some() { "guests in a browser and " } else { "" };
    let senders = format!("from {browser}{PHONES} phones, through the relay");
    let files = of.files.len();
    let files = format!("{} files, {}, in {}", count(files), size(of.bytes()), folder.display());
    let same = if of.difference == Difference::default() { "the same ones, each once" } else { "" };
    let [words, numbers] = identity(of);
    let verdict =
        if of.is_balanced() { paint.good("it holds") } else { paint.bad("it does not hold") };
    vec![
        paint.bold(&row("Telemetry", &["events".to_owned()], "")),
        row("batches", &[count(of.batches)], &paint.dim(&senders)),
        row("in files", &[count(of.filed())], &paint.dim(&files)),
        row("in the table", &[count(of.rows)], &paint.dim(same)),
        format!("  {}", paint.dim(&words)),
        format!("  {numbers}   {verdict}"),
    ]
}

/// Returns the identity of the account, in words and below them in numbers.
fn identity(of: &Telemetry) -> [String; 2] {
    let terms = [
        ("", "received", of.sum(|account| account.received)),
        (" + ", "derived", of.sum(|account| account.derived)),
        (" = ", "unique", of.sum(|account| account.unique)),
        (" + ", "duplicate", of.sum(|account| account.duplicate)),
        (" + ", "failed", of.sum(|account| account.failed)),
        (" + ", "filtered", of.sum(|account| account.filtered)),
        (" + ", "pending", of.sum(|account| account.pending)),
    ];
    let columns = terms.map(|(sign, word, number)| {
        let number = count(number);
        let width = word.len().max(number.len());
        [format!("{sign}{word:>width$}"), format!("{sign}{number:>width$}")]
    });
    [0, 1].map(|line| columns.iter().map(|column| column[line].as_str()).collect())
}

fn latency(report: &Report, paint: Paint) -> Vec<String> {
    let at = |label: &str, quantile: f64| {
        row(label, &[millis(report.latency.value_at_quantile(quantile))], "")
    };
    vec![
        paint.bold("From commit to verified receipt, at the warehouse"),
        at("p50", 0.5),
        at("p99", 0.99),
        at("p99.9", 0.999),
    ]
}

fn verdict(complaints: &[String], paint: Paint) -> Vec<String> {
    if complaints.is_empty() {
        let verdict =
            "Every event reached every subscriber, and none that was rolled back reached any.";
        let telemetry = "Every unique event of telemetry is in one file and in one row, and all that came in is accounted for.";
        return vec![paint.good(verdict), paint.good(telemetry)];
    }
    let mut lines = vec![paint.bad("Not everything is as it should be:")];
    lines.extend(complaints.iter().map(|complaint| format!("  {complaint}")));
    lines
}

fn row(label: &str, cells: &[String], note: &str) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:>NUMBER$}")).collect();
    format!("  {label:<LABEL$}{}   {note}", cells.concat()).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::report::tests::good;

    #[test]
    fn summary_is_one_screen_of_aligned_numbers() {
        let folder = Path::new("/tmp/demo/telemetry");
        let summary = render(&good(), folder, Paint { colours: false });
        let expected = "\
The shop, in 12.3 s
  orders taken               2,140
  orders rolled back           260   out of stock: the order and its event were rolled back
  events registered          6,123   paid 3,983, placed 2,140

  The subscribers        warehouse  accounting
  events verified            6,123       6,123   each counted once
  deliveries                 6,123       6,123   answered with 2xx
  retries                        0       1,042   accounting was down for five seconds
  duplicates                     0          17   known by their webhook-id; the answer had been lost
  out of order                   0           5   only the warehouse has asked for order
  dead letters                   0           0

  Analytics, anonymous     segment     posthog
  events recorded            6,135       6,135   12 of them by guests in a browser, through the relay
  repeated                       0           0   known by their message ids

  Telemetry                 events
  batches                       27   from guests in a browser and 4 phones, through the relay
  in files                     252   2 files, 19.0 kB, in /tmp/demo/telemetry
  in the table                 252   the same ones, each once
  received + derived = unique + duplicate + failed + filtered + pending
       263 +       0 =    252 +        10 +      1 +        0 +       0   it holds

From commit to verified receipt, at the warehouse
  p50                       5.0 ms
  p99                       9.9 ms
  p99.9                    10.0 ms

Every event reached every subscriber, and none that was rolled back reached any.
Every unique event of telemetry is in one file and in one row, and all that came in is accounted for.
";
        assert_eq!(summary, expected);
    }

    #[test]
    fn what_is_wrong_stands_at_the_end() {
        let mut report = good();
        report.subscribers[1].lane.dead = 2;
        let summary = render(&report, Path::new(""), Paint { colours: true });
        let end = "should be:\u{1b}[0m\n  accounting: deliveries given up: 2\n";
        assert!(summary.ends_with(end), "{summary}");
    }
}
