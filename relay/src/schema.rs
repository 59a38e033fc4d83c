//! Properties as the schema of their type allows them.
//!
//! Two things happen, in this order: what the schema does not name is left out, and what remains is validated.
//! So a property that nobody has declared reaches neither the database nor a backend, and does not make the event
//! invalid either.

mod shape;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// How many violations of one event are told.
const VIOLATIONS_MAX: usize = 8;

/// The schema of one version of an event type, compiled.
#[derive(Debug)]
pub(crate) struct Schema {
    source: Value,
    validator: Validator,
}

/// What became of the properties of an event.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) properties: Map<String, Value>,
    /// The JSON pointers of what was left out.
    pub(crate) dropped: Vec<String>,
}

impl Schema {
    /// Compiles a schema; what is wrong with it, if it is none.
    pub(crate) fn compile(source: Value) -> Result<Self, String> {
        let validator = jsonschema::validator_for(&source).map_err(|error| error.to_string())?;
        Ok(Self { source, validator })
    }

    /// Leaves out what the schema does not name, and validates the rest.
    ///
    /// # Errors
    ///
    /// The violations, each with the path and the keyword of the schema; without values, which may be personal.
    pub(crate) fn admit(&self, properties: Map<String, Value>) -> Result<Admitted, Vec<Value>> {
        let (value, dropped) = shape::keep(&self.source, properties);
        let violations: Vec<_> = self
            .validator
            .iter_errors(&value)
            .take(VIOLATIONS_MAX)
            .map(|error| {
                json!({
                    "path": error.instance_path().to_string(),
                    "code": error.kind().keyword(),
                    "message": error.masked().to_string(),
                })
            })
            .collect();
        match value {
            Value::Object(properties) if violations.is_empty() => {
                Ok(Admitted { properties, dropped })
            }
            _ => Err(violations),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(schema: Value, properties: Value) -> Result<(Value, Vec<String>), Vec<Value>> {
        let Value::Object(properties) = properties else { panic!("not an object") };
        let admitted = Schema::compile(schema).unwrap().admit(properties)?;
        Ok((Value::Object(admitted.properties), admitted.dropped))
    }

    #[test]
    fn undeclared_property_is_left_out_and_named() {
        let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        let (kept, dropped) = admit(schema, json!({"name": "a", "email": "x@y.z"})).unwrap();
        assert_eq!((kept, dropped), (json!({"name": "a"}), vec!["/email".to_owned()]));
    }

    #[test]
    fn type_that_refuses_unknown_fields_is_given_none() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false});
        assert_eq!(admit(schema, json!({"n": 1, "x": 2})).unwrap().0, json!({"n": 1}));
    }

    #[test]
    fn violation_names_its_place_and_not_the_value() {
        let schema = json!({
            "type": "object", "required": ["name"],
            "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
        });
        let violations = admit(schema, json!({"n": "secret"})).unwrap_err();
        assert_eq!(violations.len(), 2, "{violations:?}");
        assert!(violations.iter().any(|found| found["path"] == "/n" && found["code"] == "type"));
        assert!(violations.iter().any(|found| found["code"] == "required"));
        assert!(!violations.iter().any(|found| found.to_string().contains("secret")));
    }

    #[test]
    fn schema_that_is_none_is_found_when_it_is_compiled() {
        assert!(Schema::compile(json!({"type": "nonsense"})).is_err());
        assert!(Schema::compile(json!({"$ref": "https://example.com/elsewhere.json"})).is_err());
    }
}
