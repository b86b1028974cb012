//! One answer in the other's clothes: a whole chat completion as a stream of events, a stream as a whole. For upstreams
//! that do not give what was asked for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    json::{Document, Node},
    sse::{Frame, Parser, write_event},
    stream::{CHOICES_MAX, short},
};

/// A finished chat completion as the stream that the client asked for: one event with everything for each choice, then
/// those that end it.
pub fn from_completion(document: &Document) -> Streamed {
    let root = document.root();
    let of = |key| short(document, key);
    let head = format!(r#""id":{},"object":"chat.completion.chunk","created":{},"model":{}"#, of("id"), of("created"), of("model"));
    let (mut says, mut ends) = (Vec::new(), Vec::new());
    for (position, choice) in root.get("choices").map_or(&[][..], Node::items).iter().enumerate().take(CHOICES_MAX) {
        let index = choice.get("index").map_or_else(|| position.to_string(), |n| document.raw(n).to_owned());
        let message = choice.get("message").map_or("{}", |n| document.raw(n));
        let message = if message.contains("\"tool_calls\"") { as_delta(message) } else { message.to_owned() };
        let message = message.as_str();
        let reason = choice.get("finish_reason").map_or("\"stop\"", |n| document.raw(n));
        for (out, delta, reason) in [(&mut says, message, "null"), (&mut ends, "{}", reason)] {
            let event = format!(r#"{{{head},"choices":[{{"index":{index},"delta":{delta},"finish_reason":{reason}}}]}}"#);
            out.extend(write_event(&[], event.as_bytes()));
        }
    }
    if let Some(usage) = root.get("usage") {
        let event = format!(r#"{{{head},"choices":[],"usage":{}}}"#, document.raw(usage));
        ends.extend(write_event(&[], event.as_bytes()));
    }
    ends.extend(write_event(&[], b"[DONE]"));
    Streamed { says, ends }
}

/// An answer as events.
#[derive(Debug)]
pub struct Streamed {
    /// What it says.
    pub says: Vec<u8>,
    /// That it ends.
    pub ends: Vec<u8>,
}

/// The chat completion that a stream of events comes to: texts joined, everything else as it was last said.
///
/// # Errors
/// The error that the stream ended with, if it said nothing else: `{"error": …}`.
pub fn to_completion(stream: &[u8]) -> Result<Vec<u8>, Value> {
    let (mut parser, mut data, mut events) = (Parser::default(), Vec::new(), Vec::new());
    let mut each = |frame: Frame<'_>| match frame {
        Frame::Data(part) => data.extend_from_slice(part),
        Frame::Line(_) => {}
        Frame::End => events.extend(serde_json::from_slice::<Value>(&std::mem::take(&mut data)).ok()),
    };
    parser.feed(stream, &mut each);
    parser.finish(&mut each);
    let mut whole = Map::new();
    let mut choices: BTreeMap<u64, (Map<String, Value>, Value)> = BTreeMap::new();
    let mut error = None;
    for event in events {
        let Value::Object(event) = event else { continue };
        for (key, value) in event {
            match (key.as_str(), value) {
                ("choices", Value::Array(list)) => {
                    list.into_iter().enumerate().for_each(|(at, choice)| add_choice(&mut choices, at as u64, choice))
                }
                ("error", value) => error = Some(value),
                (_, Value::Null) => {}
                (_, value) => {
                    whole.insert(key, value);
                }
            }
        }
    }
    if let (true, Some(error)) = (choices.is_empty(), error) {
        return Err(json!({ "error": error }));
    }
    whole.insert("object".into(), json!("chat.completion"));
    let choices: Vec<Value> = choices
        .into_iter()
        .map(|(index, (message, reason))| json!({"index": index, "message": message, "finish_reason": reason}))
        .collect();
    whole.insert("choices".into(), choices.into());
    Ok(Value::Object(whole).to_string().into_bytes())
}

fn add_choice(choices: &mut BTreeMap<u64, (Map<String, Value>, Value)>, position: u64, choice: Value) {
    let index = choice["index"].as_u64().unwrap_or(position);
    if choices.len() >= CHOICES_MAX && !choices.contains_key(&index) {
        return;
    }
    let (message, reason) = choices.entry(index).or_insert_with(|| (Map::new(), json!("stop")));
    if let reason_now @ Value::String(_) = &choice["finish_reason"] {
        *reason = reason_now.clone();
    }
    let Some(delta) = choice.get("delta").or_else(|| choice.get("message")).and_then(Value::as_object) else { return };
    for (key, value) in delta {
        match (message.get_mut(key), value) {
            (_, Value::Null) => {}
            (Some(Value::String(text)), Value::String(more)) if key != "role" => text.push_str(more),
            (Some(Value::Array(list)), Value::Array(more)) if key == "tool_calls" => more.iter().for_each(|call| add_call(list, call)),
            (None, Value::Array(more)) if key == "tool_calls" => {
                let mut list = Vec::new();
                more.iter().for_each(|call| add_call(&mut list, call));
                message.insert(key.clone(), list.into());
            }
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more.iter().cloned()),
            _ => {
                message.insert(key.clone(), value.clone());
            }
        }
    }
}

/// A piece of a call of a tool: pieces of the same index are one call, whose arguments are joined.
fn add_call(calls: &mut Vec<Value>, piece: &Value) {
    let same = |call: &&mut Value| piece["index"].is_u64() && call["index"] == piece["index"];
    let Some(call) = calls.iter_mut().find(same) else {
        calls.push(piece.clone());
        return;
    };
    if let Some(more) = piece["function"]["arguments"].as_str() {
        let joined = call["function"]["arguments"].as_str().unwrap_or_default().to_owned() + more;
        call["function"]["arguments"] = joined.into();
    }
    for key in ["id", "type"] {
        if call[key].is_null() && !piece[key].is_null() {
            call[key] = piece[key].clone();
        }
    }
    if call["function"]["name"].is_null() && piece["function"]["name"].is_string() {
        call["function"]["name"] = piece["function"]["name"].clone();
    }
}

/// A message as the delta of a stream: calls of tools have an index there.
fn as_delta(raw: &str) -> String {
    let Ok(mut message) = serde_json::from_str::<Value>(raw) else { return raw.to_owned() };
    let Some(calls) = message.get_mut("tool_calls").and_then(Value::as_array_mut) else { return raw.to_owned() };
    for (at, call) in calls.iter_mut().enumerate() {
        if let Some(call) = call.as_object_mut() {
            call.entry("index").or_insert(at.into());
        }
    }
    message.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_comes_to_the_completion_that_it_tells() {
        let stream =
            b"data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}}]}\n\n\
            data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"length\"}]}\n\n\
            data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\ndata: [DONE]\n\n";
        let whole: Value = serde_json::from_slice(&to_completion(stream).expect("a completion")).expect("JSON");
        assert_eq!(whole["choices"], json!([{"index": 0, "message": {"role": "assistant", "content": "ab"}, "finish_reason": "length"}]));
        assert_eq!((&whole["usage"]["total_tokens"], &whole["object"], &whole["id"]), (&json!(3), &json!("chat.completion"), &json!("x")));
        assert_eq!(to_completion(b"data: {\"error\":{\"message\":\"no\"}}\n\n"), Err(json!({"error": {"message": "no"}})));
    }
}
