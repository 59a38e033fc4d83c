//! Events of producers that have the envelope of the specification, and say other things in it: DIGIT, and Tidings.

use super::{
    kinds::{ACTOR, CONTEXT},
    shape::{
        Kind, Shape,
        Type::{Filled, ListOf, Number, Object, OneOf, Record, Text},
        closed, kind, may, must, open,
    },
};

/// What the client of eGov DIGIT sends; none of it fits the specification.
pub(super) static DIGIT: [Kind; 3] = [
    kind(
        "START",
        open(&[
            must("type", Text),
            must("url", Text),
            may("mode", Text),
            may("stageid", Text),
            // A text, as `"0"`.
            may("duration", Text),
            may("userAgent", Text),
            may("web-browser", Text),
            may("platform", Text),
            may("cityId", Text),
            may("formKey", Text),
        ]),
    ),
    kind(
        "SUMMARY",
        open(&[
            must("type", Text),
            must("url", Text),
            must("timeSpent", Number),
            may("startTimeArray", ListOf(&Number)),
            may("endTimeArray", ListOf(&Number)),
            may("userAgent", Text),
            may("web-browser", Text),
            may("platform", Text),
            may("cityId", Text),
            may("formKey", Text),
            may("fieldSummary", ListOf(&Record(&FIELD))),
        ]),
    ),
    kind(
        "END",
        open(&[
            must("type", Text),
            must("url", Text),
            may("duration", Number),
            may("userAgent", Text),
            may("web-browser", Text),
            may("platform", Text),
            may("cityId", Text),
            may("formKey", Text),
        ]),
    ),
];

static FIELD: Shape = open(&[
    must("fieldKey", Text),
    may("fieldDataLength", Number),
    may("timeSpent", Number),
    may("numberOfInteractions", Number),
]);

/// A registered event: its telemetry is said by an audit event.
pub(super) static TIDINGS: Shape = open(&[
    must("eid", OneOf(&["AUDIT"])),
    must("ets", Number),
    must("mid", Filled),
    must("edata", Record(&VIEW)),
    may("ver", Text),
    may("actor", Record(&ACTOR)),
    may("context", Record(&CONTEXT)),
]);

static VIEW: Shape = closed(&[
    must("event_properties", Object),
    must("derived_properties", Object),
    may("type", Filled),
    may("version", Number),
]);
