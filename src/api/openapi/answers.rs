//! What any route may answer besides its own: written once here, not at every handler.
//!
//! Layers, extractors and the gate refuse requests before a handler sees them. Which of that a route can
//! meet follows from what it takes: a body, parameters, a caller. What a handler says itself stays.

use serde_json::{Map, Value, json};

/// An answer that is the same for many routes.
struct Common {
    status: &'static str,
    about: &'static str,
    /// Whether a route with this operation may answer so.
    is_of: fn(&Value) -> bool,
}

const COMMON: [Common; 10] = [
    Common {
        status: "400",
        about: "The request makes no sense",
        is_of: |operation| takes_body(operation) || takes_parameters(operation),
    },
    Common {
        status: "401",
        about: "Nobody is known by what was sent",
        is_of: asks_who,
    },
    Common {
        status: "403",
        about: "The caller may not",
        is_of: asks_who,
    },
    Common {
        status: "404",
        about: "There is none, or it is somebody else's",
        is_of: names_something,
    },
    Common {
        status: "408",
        about: "The body takes too long to arrive",
        is_of: takes_body,
    },
    Common {
        status: "413",
        about: "The body is too large",
        is_of: takes_body,
    },
    Common {
        status: "415",
        about: "The body is of a type that is not taken",
        is_of: takes_body,
    },
    Common {
        status: "429",
        about: "Too many requests of this caller",
        is_of: asks_who,
    },
    Common {
        status: "500",
        about: "Something went wrong here, and it is logged",
        is_of: |_| true,
    },
    Common {
        status: "503",
        about: "The server or its database is away",
        is_of: asks_who,
    },
];

/// Errors that say when to come back.
const PASSING: [&str; 3] = ["429", "502", "503"];

/// Writes into a document what its handlers cannot know.
pub(super) fn complete(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut();
    for schema in schemas.into_iter().flat_map(Map::values_mut) {
        require_nulls(schema);
    }
    let paths = document["paths"].as_object_mut();
    let routes = paths.into_iter().flat_map(Map::values_mut);
    let operations = routes.filter_map(Value::as_object_mut);
    for operation in operations.flat_map(Map::values_mut) {
        forbid_nulls(operation);
        add_answers(operation);
    }
}

/// In answers, what has no value is there as null; what may be missing is never null. Bodies of requests,
/// which refuse unknown fields, may leave out what may be null.
fn require_nulls(schema: &mut Value) {
    if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
        return;
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let nullable = properties.iter().filter(|(_, schema)| takes_null(schema));
    let nullable: Vec<_> = nullable.map(|(name, _)| json!(name)).collect();
    match schema.get_mut("required").and_then(Value::as_array_mut) {
        Some(required) => required.extend(nullable),
        None => schema["required"] = nullable.into(),
    }
}

/// No parameter has a way to say null: it is left out.
fn forbid_nulls(operation: &mut Value) {
    let parameters = operation.get_mut("parameters");
    let parameters = parameters.and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let kinds = parameter.pointer_mut("/schema/type");
        if let Some(kinds) = kinds.and_then(Value::as_array_mut) {
            kinds.retain(|kind| kind != "null");
        }
    }
}

fn takes_null(schema: &Value) -> bool {
    let null = json!("null");
    let among = |kinds: &Value| kinds.as_array().is_some_and(|kinds| kinds.contains(&null));
    let choices = schema["oneOf"].as_array();
    let anything =
        schema.get("type").is_none() && choices.is_none() && schema.get("$ref").is_none();
    among(&schema["type"])
        || choices.into_iter().flatten().any(|one| one["type"] == null)
        || anything
}

fn add_answers(operation: &mut Value) {
    let common = COMMON.iter().filter(|common| (common.is_of)(operation));
    let common: Vec<_> = common.collect();
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for Common { status, about, .. } in common {
        responses.entry(*status).or_insert_with(|| error(about));
    }
    for (status, response) in responses {
        let schema = response.pointer("/content/application~1json/schema/$ref");
        let is_error = schema.is_some_and(|schema| schema == ERROR);
        let mut add = |name: &str, header: Value| response["headers"][name] = header;
        add(
            "X-Request-Id",
            header("string", "What the logs call this request"),
        );
        if is_error && PASSING.contains(&status.as_str()) {
            add(
                "Retry-After",
                header("integer", "Seconds until another try makes sense"),
            );
        }
        if status == "401" {
            add("WWW-Authenticate", header("string", "Bearer"));
        }
    }
}

const ERROR: &str = "#/components/schemas/ErrorBody";

fn error(about: &str) -> Value {
    let content = json!({"application/json": {"schema": {"$ref": ERROR}}});
    json!({"description": about, "content": content})
}

/// One that is always there.
fn header(kind: &str, about: &str) -> Value {
    json!({"description": about, "required": true, "schema": {"type": kind}})
}

fn takes_body(operation: &Value) -> bool {
    operation.get("requestBody").is_some()
}

fn takes_parameters(operation: &Value) -> bool {
    operation.get("parameters").is_some()
}

/// All but those that say that they do not.
fn asks_who(operation: &Value) -> bool {
    operation.get("security").is_none()
}

fn names_something(operation: &Value) -> bool {
    let parameters = operation["parameters"].as_array();
    parameters
        .into_iter()
        .flatten()
        .any(|one| one["in"] == "path")
}
