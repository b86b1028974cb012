//! How a provider would write the demo's answers.

use base64_simd::STANDARD;
use serde_json::{Value, json};

use super::{Brief, is_jpeg};
use crate::upstream::Endpoint;

/// Base64 characters in one event of a stream; small enough that every picture is split.
const DELTA: usize = 48 * 1024;

/// The answer's body in the pieces in which a provider would send it.
pub fn answer(endpoint: Endpoint, stream: bool, brief: &Brief, partials: &[Vec<u8>], pictures: &[Vec<u8>], created: u64) -> Vec<Vec<u8>> {
    match endpoint {
        Endpoint::Generations if stream => image_stream("image_generation", brief, partials, pictures, created),
        Endpoint::Edits if stream => image_stream("image_edit", brief, partials, pictures, created),
        Endpoint::Generations | Endpoint::Edits => vec![images(brief, pictures, created)],
        Endpoint::Chat if stream => chat_stream(brief, pictures, created),
        Endpoint::Chat => vec![chat(brief, pictures, created)],
    }
}

fn images(brief: &Brief, pictures: &[Vec<u8>], created: u64) -> Vec<u8> {
    let data: Vec<Value> =
        pictures.iter().map(|p| json!({"b64_json": STANDARD.encode_to_string(p), "revised_prompt": brief.prompt})).collect();
    let format = if is_jpeg(brief) { "jpeg" } else { "png" };
    json!({"created": created, "data": data, "output_format": format}).to_string().into_bytes()
}

fn image_stream(kind: &str, brief: &Brief, partials: &[Vec<u8>], pictures: &[Vec<u8>], created: u64) -> Vec<Vec<u8>> {
    let format = if is_jpeg(brief) { "jpeg" } else { "png" };
    let event = |name: String, mut event: Value, picture: &[u8]| {
        event["type"] = json!(name);
        event["b64_json"] = json!(STANDARD.encode_to_string(picture));
        event["created_at"] = json!(created);
        event["output_format"] = json!(format);
        format!("event: {name}\ndata: {event}\n\n").into_bytes()
    };
    let glimpses = partials.iter().enumerate().map(|(at, p)| event(format!("{kind}.partial_image"), json!({"partial_image_index": at}), p));
    let finished = pictures.iter().map(|p| event(format!("{kind}.completed"), json!({"revised_prompt": brief.prompt}), p));
    glimpses.chain(finished).collect()
}

fn caption(brief: &Brief) -> &'static str {
    let chinese = brief.prompt.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    match (chinese, brief.inputs.is_empty()) {
        (true, true) => "这是演示上游画的图（尚未配置真实的上游）。\n\n",
        (true, false) => "这是演示上游修改后的图（尚未配置真实的上游）。\n\n",
        (false, true) => "Drawn by the demo upstream (no real one is configured yet).\n\n",
        (false, false) => "Edited by the demo upstream (no real one is configured yet).\n\n",
    }
}

fn markdown(brief: &Brief, pictures: &[Vec<u8>]) -> String {
    let mime = if is_jpeg(brief) { "image/jpeg" } else { "image/png" };
    let shown: Vec<String> = pictures.iter().map(|p| format!("![image](data:{mime};base64,{})", STANDARD.encode_to_string(p))).collect();
    shown.join("\n\n")
}

fn chat(brief: &Brief, pictures: &[Vec<u8>], created: u64) -> Vec<u8> {
    let content = format!("{}{}", caption(brief), markdown(brief, pictures));
    let message = json!({"role": "assistant", "content": content});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0});
    json!({"id": format!("chatcmpl-demo-{created}"), "object": "chat.completion", "created": created, "model": "demo", "choices": [choice], "usage": usage})
        .to_string()
        .into_bytes()
}

fn chat_stream(brief: &Brief, pictures: &[Vec<u8>], created: u64) -> Vec<Vec<u8>> {
    let event = |delta: Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        let event = json!({"id": format!("chatcmpl-demo-{created}"), "object": "chat.completion.chunk", "created": created, "model": "demo", "choices": [choice]});
        format!("data: {event}\n\n").into_bytes()
    };
    let mut parts = vec![event(json!({"role": "assistant", "content": caption(brief)}), Value::Null)];
    let text = markdown(brief, pictures);
    // Base64 and markdown are ASCII, so any byte is a boundary.
    for delta in text.as_bytes().chunks(DELTA) {
        parts.push(event(json!({"content": String::from_utf8_lossy(delta)}), Value::Null));
    }
    parts.push(event(json!({}), json!("stop")));
    parts.push(b"data: [DONE]\n\n".to_vec());
    parts
}
