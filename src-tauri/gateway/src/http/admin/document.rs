//! Makes the OpenAPI document say what every handler has in common, so that none has to repeat it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Where the API lies.
pub const BASE: &str = "/admin/api";

const SCHEMAS: &str = "#/components/schemas/";

/// The document as it is served:
/// - answers hold every member, `null` where nothing is known, so that none of them is optional;
/// - whatever fails answers with `ErrorBody`;
/// - operations go by method and path, because functions of different modules have the same names.
pub fn finished(mut document: Value) -> Value {
    document["servers"] = json!([{"url": BASE}]);
    let mut answered = BTreeSet::new();
    if let Some(paths) = document["paths"].as_object_mut() {
        for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
            finish_operation(operation, &mut answered);
        }
    }
    answered.extend(["ErrorBody".to_owned(), "Told".to_owned()]);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        let mut seen = BTreeSet::new();
        while let Some(name) = answered.pop_first() {
            if let Some(schema) = schemas.get_mut(&name).filter(|_| seen.insert(name)) {
                require_all(schema);
                references(schema, &mut answered);
            }
        }
    }
    document
}

fn finish_operation(operation: &mut Value, answered: &mut BTreeSet<String>) {
    let Some(operation) = operation.as_object_mut() else { return };
    operation.remove("operationId");
    operation.remove("tags");
    let Some(responses) = operation.get_mut("responses") else { return };
    references(responses, answered);
    let error = json!({"description": "A failure.", "content": {"application/json": {"schema": {"$ref": format!("{SCHEMAS}ErrorBody")}}}});
    responses["default"] = error;
}

/// Names of all schemas that are referred to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix(SCHEMAS));
            found.extend(name.map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn require_all(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(properties) = members.get("properties").and_then(Value::as_object) {
                let names: Vec<Value> = properties.keys().cloned().map(Value::String).collect();
                members.insert("required".into(), Value::Array(names));
            }
            members.values_mut().for_each(require_all);
        }
        Value::Array(items) => items.iter_mut().for_each(require_all),
        _ => {}
    }
}
