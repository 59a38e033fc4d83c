//! The `OpenAPI` document of the relay, made from its table of routes.

use serde_json::{Map, Value, json};

use crate::{
    protocol::Protocol,
    route::{Operation, Operator, ROUTES, Route},
};

/// Returns the `OpenAPI` 3.1 document of all routes.
///
/// ```
/// let document = tidings_relay::openapi();
/// assert_eq!(document["openapi"], "3.1.0");
/// assert!(document["paths"]["/analytics"]["post"].is_object());
/// ```
#[must_use]
pub fn openapi() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let methods: Map<_, _> = route
            .methods
            .list()
            .iter()
            .map(|method| (method.as_str().to_ascii_lowercase(), operation(route, method.as_str())))
            .collect();
        paths.insert(route.path.to_owned(), Value::Object(methods));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidings relay",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Takes what browsers, devices and SDKs report. 200 means that it is committed.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The key of a channel."},
                "basic": {
                    "type": "http", "scheme": "basic",
                    "description": "The key of a channel as the user name, without a password.",
                },
                "query": {
                    "type": "apiKey", "in": "query", "name": "key",
                    "description": "The key of a channel, for beacons, which cannot set a header.",
                },
            },
            "schemas": schemas(),
        },
    })
}

fn operation(route: &Route, method: &str) -> Value {
    let id =
        format!("{}{}", method.to_ascii_lowercase(), route.path.replace(['/', '.', '{', '}'], "_"));
    let mut operation = json!({
        "operationId": id,
        "summary": route.summary,
        "tags": [tag(route)],
        "responses": {"200": {"description": success(route.operation)}},
    });
    if route.path.contains("{token}") {
        operation["parameters"] = json!([
            {"name": "token", "in": "path", "required": true, "schema": {"type": "string"}}
        ]);
    }
    if let Operation::Operator(operator) = route.operation {
        if operator == Operator::Ready {
            operation["responses"]["503"] =
                json!({"description": "Not now; a load balancer goes elsewhere."});
        }
        if operator == Operator::Script {
            operation["tags"] = json!(["Browsers"]);
            operation["responses"]["200"]["content"] = json!({"text/javascript": {}});
            operation["responses"]["304"] = json!({"description": "The browser has it already."});
        }
        return operation;
    }
    operation["security"] = json!([{"bearer": []}, {"basic": []}, {"query": []}, {}]);
    let error = json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{}", refusal(route.protocol))}}});
    for (status, description) in refusals(route.operation) {
        operation["responses"][status] = json!({"description": description, "content": error});
    }
    if route.operation == Operation::Archive {
        operation["requestBody"] = archive_body();
        operation["responses"]["200"]["content"] =
            json!({"application/json": {"schema": {"$ref": "#/components/schemas/ImportAnswer"}}});
        return operation;
    }
    let schema = json!({"$ref": format!("#/components/schemas/{}", body(route.operation))});
    let mut media =
        json!({"application/json": {"schema": schema}, "text/plain": {"schema": schema}});
    if route.operation == Operation::PostHog {
        media["application/x-www-form-urlencoded"] = json!({"schema": {"type": "object", "properties": {
            "data": {"type": "string", "description": "The body, plain or in base64."},
        }}});
    }
    operation["requestBody"] = json!({
        "required": true,
        "description": "Plain, or with the content encoding gzip or deflate.",
        "content": media,
    });
    if route.operation == Operation::Analytics {
        operation["responses"]["204"] =
            json!({"description": "Not collected at the level in force."});
    }
    operation
}

fn tag(route: &Route) -> &'static str {
    match (route.operation, route.protocol) {
        (Operation::Operator(_), Protocol::Tidings) => "Operators",
        (_, Protocol::Tidings) => "Events",
        (_, Protocol::Segment) => "Segment",
        (_, Protocol::PostHog) => "PostHog",
        (_, Protocol::Sunbird) => "Telemetry",
    }
}

fn success(operation: Operation) -> &'static str {
    match operation {
        Operation::Analytics => "Committed; with an outcome for each event of a batch.",
        Operation::Segment(_) | Operation::PostHog => {
            "Committed; with counts of what was accepted, repeated, filtered and rejected."
        }
        Operation::Telemetry => {
            "Committed to the raw log, as it came; but for what is above the level, which `result` counts and lists."
        }
        Operation::Archive => {
            "Read to its end; `result.items` says of each batch what became of it."
        }
        Operation::Operator(_) => "The answer.",
    }
}

fn body(operation: Operation) -> &'static str {
    match operation {
        Operation::Analytics => "Analytics",
        Operation::Segment(None) => "SegmentBatch",
        Operation::Segment(Some(_)) => "SegmentCall",
        Operation::PostHog => "PostHog",
        Operation::Telemetry => "Telemetry",
        Operation::Archive | Operation::Operator(_) => "Nothing",
    }
}

fn archive_body() -> Value {
    let binary = json!({"schema": {"type": "string", "format": "binary"}});
    json!({
        "required": true,
        "description": "The file as it is; 8 MB at most.",
        "content": {"application/zip": binary, "application/vnd.sqlite3": binary, "application/octet-stream": binary},
    })
}

fn refusal(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tidings => "Error",
        Protocol::Segment => "SegmentError",
        Protocol::PostHog => "PostHogError",
        Protocol::Sunbird => "TelemetryAnswer",
    }
}

fn refusals(operation: Operation) -> Vec<(&'static str, &'static str)> {
    let mut refusals = vec![
        ("400", "The body cannot be read, or a single call is wrong."),
        ("401", "The key is missing, unknown or revoked."),
        ("405", "Another method; `Allow` names those that are taken."),
        ("408", "The body took too long."),
        ("413", "The body, an event or the number of events is too large."),
        ("415", "The content type or encoding is not taken."),
        ("422", "The body says something that cannot be."),
        ("429", "The quota of the channel is used up; `Retry-After` says for how long."),
        ("503", "Too much in hand, or no database; `Retry-After` says when to come again."),
    ];
    if operation == Operation::Analytics {
        refusals.push(("403", "The event type is not sent by clients."));
        refusals.push(("409", "The message id was used for another event."));
    }
    refusals
}

fn schemas() -> Value {
    let text = json!({"type": "string"});
    let object = json!({"type": "object"});
    let event = json!({"type": "object", "required": ["event"], "properties": {
        "event": {"type": "string", "description": "The name of a client type of the catalogue."},
        "version": {"type": "integer", "description": "Of the type; the latest if it is left out."},
        "properties": {"type": "object", "description": "By the schema of the type; others are left out."},
        "message_id": {"type": "string", "minLength": 1, "maxLength": 200, "description": "The same id is the same event."},
        "anonymous_id": {"type": "string", "description": "Of a device or browser; kept as a keyed hash."},
        "user_id": {"type": "string", "description": "Of a person; kept as a keyed hash."},
        "timestamp": {"type": "string", "format": "date-time"},
        "sent_at": {"type": "string", "format": "date-time"},
        "consent": {"type": "object", "additionalProperties": {"type": "boolean"}},
    }});
    let call = json!({"type": "object", "properties": {
        "type": {"enum": ["track", "identify", "group", "page", "screen", "alias"]},
        "messageId": text, "userId": text, "anonymousId": text, "groupId": text, "previousId": text,
        "event": text, "name": text, "properties": object, "traits": object, "context": object,
        "timestamp": {"type": "string", "format": "date-time"}, "writeKey": text,
    }});
    let captured = json!({"type": "object", "properties": {
        "event": text, "distinct_id": text, "uuid": text, "properties": object,
        "timestamp": {"type": "string", "format": "date-time"}, "api_key": text,
    }});
    let error = json!({"type": "object", "required": ["code", "message"], "properties": {
        "code": text, "message": text, "violations": {"type": "array", "items": object},
    }});
    json!({
        "Analytics": {"anyOf": [event, {"type": "object", "required": ["batch"], "properties": {
            "batch": {"type": "array", "items": event},
        }}]},
        "SegmentCall": call,
        "SegmentBatch": {"type": "object", "required": ["batch"], "properties": {
            "batch": {"type": "array", "items": {"$ref": "#/components/schemas/SegmentCall"}},
            "sentAt": {"type": "string", "format": "date-time"}, "writeKey": text, "context": object,
        }},
        "PostHog": {"anyOf": [captured, {"type": "array", "items": captured}, {"type": "object", "required": ["batch"],
            "properties": {"api_key": text, "batch": {"type": "array", "items": captured}}}]},
        "Telemetry": {"type": "object", "required": ["events"], "properties": {
            "id": text, "ver": text, "ets": {"type": "number"}, "mid": text,
            "params": {"type": "object", "properties": {"msgid": text}},
            "events": {"type": "array", "items": object, "minItems": 1},
        }},
        "TelemetryAnswer": {"type": "object", "properties": {
            "id": text, "ver": text, "ts": text, "ets": {"type": "integer"}, "params": object,
            "responseCode": text, "result": object,
        }},
        "ImportAnswer": import_answer(),
        "Error": {"type": "object", "required": ["error"], "properties": {"error": error}},
        "SegmentError": {"type": "object", "properties": {"success": {"const": false}, "error": error}},
        "PostHogError": {"type": "object", "properties": {"type": text, "code": text, "detail": text}},
    })
}

fn import_answer() -> Value {
    let (text, count) = (json!({"type": "string"}), json!({"type": "integer"}));
    let notes = json!({"type": "array", "items": {"type": "object", "properties": {"code": text, "message": text}},
        "description": "What is otherwise than the archive says of itself."});
    let item = json!({"type": "object", "required": ["mid", "file", "events", "status"], "properties": {
        "mid": {"type": ["string", "null"]}, "file": text, "events": count, "filtered": count,
        "status": {"enum": ["accepted", "repeated", "filtered", "refused"]},
        "code": text, "message": text, "notes": notes,
    }});
    json!({"type": "object", "properties": {
        "id": text, "ver": text, "ts": text, "ets": count, "params": {"type": "object"}, "responseCode": text,
        "result": {"type": "object", "properties": {
            "kind": {"enum": ["zip", "gsa"]}, "accepted": count, "repeated": count, "filtered": count,
            "refused": count, "notes": notes, "items": {"type": "array", "items": item},
        }},
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_document_once() {
        let document = openapi();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), ROUTES.len(), "two routes have one path");
        let mut ids = std::collections::BTreeSet::new();
        for route in ROUTES {
            for method in route.methods.list() {
                let operation = &paths[route.path][method.as_str().to_ascii_lowercase()];
                assert_eq!(operation["summary"], route.summary);
                assert!(
                    ids.insert(operation["operationId"].to_string()),
                    "{}",
                    operation["operationId"]
                );
            }
        }
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = openapi();
        let text = document.to_string();
        let references =
            text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
        let mut count = 0;
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
            count += 1;
        }
        assert!(count > 20);
    }
}
