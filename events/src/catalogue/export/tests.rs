use serde_json::json;

use super::*;
use crate::catalogue::{TypeVersion, snapshot::tests::entry};

/// A type with a definition, and a retired one.
fn snapshot() -> Snapshot {
    let line =
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let mut placed = entry(
        "order:placed",
        1,
        json!({
            "type": "object",
            "properties": {
                "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}, "description": "What | was\nbought."},
                "state": {"enum": ["open", "closed"]},
                "note": {"type": ["string", "null"]},
            },
            "required": ["lines", "state"],
            "$defs": {"Line": line},
        }),
    );
    placed.documentation = "An order has been placed.".to_owned();
    placed.scopes = vec!["shop".to_owned()];
    let voided = entry("order:voided", 1, json!({"type": "object"}));
    Snapshot::of([voided, placed], [TypeVersion::new("order:voided", 1)])
}

#[test]
fn markdown_is_a_reference_for_people() {
    let text = snapshot().export(Format::Markdown, "Shop");
    for part in [
        "# Shop\n\n## Contents\n\n* [`order:placed` version 1](#order-placed-v1) — An order has been placed.\n",
        "* [`order:voided` version 1](#order-voided-v1) — *Retired.*\n",
        "| Audience | notification |\n| Scope | `shop` |\n| Telemetry level | basic |\n",
        "| `lines` | array of Line | yes | What \\| was bought. |\n| `lines[].n` | integer | yes |  |\n",
        "| `note` | string or null | no |  |\n| `state` | `\"open\"` or `\"closed\"` | yes |  |\n",
        "**Retired**: events of this type are no longer registered.",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
}

#[test]
fn typescript_is_written_like_this() {
    let text = snapshot().export(Format::TypeScript, "Shop");
    let expected = r#"
/**
 * An order has been placed.
 *
 * The content of `order:placed` version 1.
 */
export interface OrderPlacedV1 {
  /**
   * What | was
   * bought.
   */
  lines: OrderPlacedV1Line[];
  note?: string | null;
  state: "open" | "closed";
}

export interface OrderPlacedV1Line {
  n: number;
}

/** The body of a webhook of `order:placed` version 1. */
export interface OrderPlacedV1Event {
  type: "order:placed";
  /** When it happened, in RFC 3339. */
  timestamp: string;
  data: OrderPlacedV1;
}
"#;
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains(" * @deprecated Events of this type are no longer registered.\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "export type WebhookEvent =\n  | OrderPlacedV1Event\n  | OrderVoidedV1Event;\n"
        )
    );
}

#[test]
fn typescript_maps_what_front_ends_may_send_to_the_last_version() {
    let client = |version, audience: &str| {
        let mut entry = entry("cart:opened", version, json!({"type": "object"}));
        entry.audience = vec!["telemetry".to_owned(), audience.to_owned()];
        entry
    };
    let entries = [client(3, "notification"), client(2, "client"), client(1, "client")];
    let text = Snapshot::of(entries.clone(), []).export(Format::TypeScript, "x");
    let map = "export interface ClientEvents {\n  \"cart:opened\": CartOpenedV2;\n}\n";
    assert!(text.ends_with(map), "{text}");
    let retired = [TypeVersion::new("cart:opened", 1), TypeVersion::new("cart:opened", 2)];
    let text = Snapshot::of(entries, retired).export(Format::TypeScript, "x");
    assert!(text.ends_with("export type ClientEvents = Record<never, never>;\n"), "{text}");
}

#[test]
fn order_of_declaration_changes_nothing() {
    let types = ["order:placed", "order:paid", "a:b-c", "a-b:c"]
        .map(|name| entry(name, 1, json!({"type": "object", "properties": {"z": {}, "a": {}}})));
    let (forth, back) =
        (Snapshot::of(types.clone(), []), Snapshot::of(types.into_iter().rev(), []));
    for format in Format::ALL {
        assert_eq!(forth.export(format, "Shop"), back.export(format, "Shop"));
        assert_eq!(format.as_str().parse(), Ok(format));
    }
    assert!("yaml".parse::<Format>().is_err());
}

#[test]
fn asyncapi_says_another_version_when_a_type_is_another() {
    let version =
        |snapshot: &Snapshot| asyncapi::document(snapshot, "x")["info"]["version"].clone();
    let other = Snapshot::of([entry("order:placed", 1, json!({}))], []);
    assert_eq!(version(&snapshot()), version(&snapshot()));
    assert_ne!(version(&snapshot()), version(&other));
}

#[test]
fn type_that_is_not_for_subscribers_has_no_webhook() {
    let mut own = entry("order:counted", 1, json!({"type": "object"}));
    own.audience = vec!["telemetry".to_owned()];
    let snapshot = Snapshot::of([own], []);
    assert_eq!(asyncapi::document(&snapshot, "x")["channels"], json!({}));
    let text = snapshot.export(Format::TypeScript, "x");
    assert!(text.contains("export type OrderCountedV1 = Record<string, unknown>;"), "{text}");
    assert!(text.contains("export type WebhookEvent = never;"), "{text}");
    assert!(json_schema::document(&snapshot, "x")["$defs"]["order:counted.v1"].is_object());
}
