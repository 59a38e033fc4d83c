//! The events of Sunbird's specification 3.0 and 3.1, as the schemas of its pipeline (release 5.2.0) have them.
//!
//! Those of its SDKs differ: `SUMMARY.timespent` is a text there, `ERROR` has a `traceid`, `METRICS` is open.
//! What the prose lists as values is any text in the schemas, and so it is here.

use super::shape::{
    Field, Kind, Shape,
    Type::{self, Filled, ListOf, Number, NumberFrom, Object, OneOf, Record, Text},
    closed, kind, may, must, open,
};

/// Finds what is said about events of a kind.
pub(super) fn find(kinds: &'static [Kind], eid: &str) -> Option<&'static Shape> {
    kinds.iter().find(|kind| kind.eid == eid).map(|kind| &kind.edata)
}

/// The envelope of 3.0.
pub(super) static STRICT_30: Shape = open(&const { envelope(OneOf(&["3.0"])) });

/// The envelope of 3.1, whose events may say 3.0.
pub(super) static STRICT_31: Shape = open(&const { envelope(OneOf(&["3.0", "3.1"])) });

/// The envelope of any version.
pub(super) static LENIENT: Shape = open(&const { envelope(Text) });

const fn envelope(ver: Type) -> [Field; 9] {
    [
        must("eid", Filled),
        must("ets", Number),
        must("ver", ver),
        must("mid", Filled),
        must("actor", Record(&ACTOR)),
        must("context", Record(&CONTEXT)),
        may("object", Record(&OBJECT)),
        must("edata", Object),
        may("tags", ListOf(&Text)),
    ]
}

pub(super) static ACTOR: Shape = open(&[must("id", Text), must("type", Text)]);

pub(super) static CONTEXT: Shape = open(&[
    must("channel", Filled),
    must("pdata", Record(&PDATA)),
    must("env", Text),
    may("sid", Text),
    may("did", Text),
    may("cdata", ListOf(&Record(&CDATA))),
]);

/// The producer; `platform` has come with 3.1, and is nowhere forbidden.
static PDATA: Shape =
    open(&[must("id", Text), may("pid", Text), may("ver", Text), may("platform", Text)]);

static CDATA: Shape = closed(&[must("type", Text), must("id", Text)]);

static OBJECT: Shape =
    open(&[may("id", Text), may("type", Text), may("ver", Text), may("rollup", Record(&ROLLUP))]);

static ROLLUP: Shape = open(&[may("l1", Text), may("l2", Text), may("l3", Text), may("l4", Text)]);

/// All kinds of the specification.
pub(super) static KINDS: [Kind; 17] = [
    kind(
        "START",
        closed(&[
            must("type", Text),
            may("dspec", Record(&DSPEC)),
            may("uaspec", Record(&UASPEC)),
            may("loc", Text),
            may("mode", Text),
            may("duration", Number),
            may("pageid", Text),
        ]),
    ),
    kind(
        "IMPRESSION",
        closed(&[
            must("type", Text),
            must("pageid", Text),
            must("uri", Text),
            may("subtype", Text),
            may("duration", Number),
            may("visits", ListOf(&Record(&VISIT))),
        ]),
    ),
    kind(
        "INTERACT",
        closed(&[
            must("type", Text),
            must("id", Text),
            may("subtype", Text),
            may("pageid", Text),
            may("duration", Number),
            may("target", Record(&TARGET)),
            may("plugin", Record(&PLUGIN)),
            may("extra", Object),
        ]),
    ),
    kind(
        "ASSESS",
        closed(&[
            must("item", Record(&QUESTION)),
            must("pass", Text),
            must("score", Number),
            must("resvalues", ListOf(&Object)),
            must("duration", Number),
            may("index", Number),
        ]),
    ),
    kind(
        "RESPONSE",
        closed(&[
            must("type", Text),
            must("target", Record(&TARGET)),
            must("values", ListOf(&Object)),
        ]),
    ),
    kind("INTERRUPT", closed(&[must("type", Text), may("pageid", Text)])),
    kind(
        "FEEDBACK",
        closed(&[
            may("rating", Number),
            may("comments", Text),
            may("commentid", Text),
            may("commenttxt", Text),
        ]),
    ),
    kind(
        "SHARE",
        closed(&[must("items", ListOf(&Record(&ITEM))), may("dir", Text), may("type", Text)]),
    ),
    kind(
        "AUDIT",
        closed(&[
            may("type", Text),
            may("props", ListOf(&Text)),
            may("state", Text),
            may("prevstate", Text),
            may("duration", Number),
        ]),
    ),
    kind(
        "ERROR",
        closed(&[
            must("err", Text),
            must("errtype", Text),
            must("stacktrace", Text),
            may("pageid", Text),
            may("object", Record(&INLINE_OBJECT)),
            may("plugin", Record(&PLUGIN)),
        ]),
    ),
    kind("HEARTBEAT", open(&[])),
    kind(
        "LOG",
        closed(&[
            must("type", Text),
            must("level", Text),
            must("message", Text),
            may("pageid", Text),
            may("params", ListOf(&Object)),
        ]),
    ),
    kind(
        "SEARCH",
        closed(&[
            must("query", Text),
            must("size", Number),
            must("topn", ListOf(&Object)),
            may("type", Text),
            may("filters", Object),
            may("sort", Object),
            may("correlationid", Text),
        ]),
    ),
    kind(
        "METRICS",
        closed(&[
            must("system", Text),
            must("subsystem", Text),
            may("metrics", ListOf(&Record(&METRIC))),
        ]),
    ),
    kind(
        "SUMMARY",
        closed(&[
            must("type", Text),
            must("starttime", Number),
            must("endtime", Number),
            must("timespent", Number),
            must("pageviews", Number),
            must("interactions", Number),
            may("mode", Text),
            may("extra", ListOf(&Record(&EXTRA))),
        ]),
    ),
    kind("EXDATA", closed(&[may("type", Text), may("data", Text)])),
    kind(
        "END",
        closed(&[
            must("type", Text),
            may("mode", Text),
            may("duration", Number),
            may("pageid", Text),
            may("summary", ListOf(&Object)),
        ]),
    ),
];

static DSPEC: Shape = open(&[
    may("os", Text),
    may("make", Text),
    may("id", Text),
    may("mem", NumberFrom(-1)),
    may("idisk", NumberFrom(-1)),
    may("edisk", NumberFrom(-1)),
    may("scrn", NumberFrom(-1)),
    may("camera", Text),
    may("cpu", Text),
    may("sims", NumberFrom(-1)),
    may("cap", ListOf(&Text)),
]);

static UASPEC: Shape = open(&[
    may("agent", Text),
    may("ver", Text),
    may("system", Text),
    may("platform", Text),
    may("raw", Text),
]);

static VISIT: Shape = closed(&[
    must("objid", Text),
    must("objtype", Text),
    may("objver", Text),
    may("section", Text),
    may("index", Number),
]);

static TARGET: Shape = closed(&[
    must("id", Text),
    must("ver", Text),
    must("type", Text),
    may("parent", Record(&PARENT)),
]);

static PLUGIN: Shape = closed(&[must("id", Text), must("ver", Text), may("category", Text)]);

static INLINE_OBJECT: Shape = closed(&[
    must("id", Text),
    must("type", Text),
    must("ver", Text),
    may("subtype", Text),
    may("name", Text),
    may("code", Text),
    may("parent", Record(&PARENT)),
]);

static PARENT: Shape = open(&[may("id", Text), may("type", Text)]);

static QUESTION: Shape = closed(&[
    must("id", Text),
    may("maxscore", Number),
    may("exlength", Number),
    may("params", ListOf(&Object)),
    may("uri", Text),
    may("desc", Text),
    may("title", Text),
    may("mmc", ListOf(&Text)),
    may("mc", ListOf(&Text)),
    may("type", Text),
]);

static ITEM: Shape = closed(&[
    may("id", Text),
    may("type", Text),
    may("ver", Text),
    may("params", ListOf(&Object)),
    may("origin", Record(&PARTY)),
    may("to", Record(&PARTY)),
]);

static PARTY: Shape = open(&[may("id", Text), may("type", Text)]);

static METRIC: Shape = open(&[may("metric", Text), may("value", Number)]);

static EXTRA: Shape = open(&[may("id", Text), may("value", Text)]);
