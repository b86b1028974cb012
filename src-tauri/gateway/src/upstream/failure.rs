//! Reads the refusals of upstreams: JSON in several shapes, HTML pages of proxies, and success that is none.

use std::time::Duration;

use serde_json::Value;

use super::error::{Class, UpstreamError};

/// Longest message of an upstream that is passed on, in characters.
const MESSAGE_MAX: usize = 500;

/// Longest time to wait that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(31 * 24 * 3600);

/// Our own remark behind the message of an upstream that knows no such address.
const WRONG_URL: &str = " (is the upstream's base URL right? It usually ends in /v1)";

impl UpstreamError {
    /// What is said of it without [`WRONG_URL`], and whether that was behind it.
    pub fn without_remark(&self, chinese: bool) -> (&str, bool) {
        let said = self.said(chinese);
        (said.strip_suffix(WRONG_URL).unwrap_or(said), self.message.ends_with(WRONG_URL))
    }

    /// Whether it is the model that the upstream does not know, and not the address.
    pub fn names_model(&self) -> bool {
        let text = self.message.to_ascii_lowercase();
        let says = |words: [&str; 2]| words.iter().all(|word| text.contains(word));
        self.code.as_deref() == Some("model_not_found") || says(["model", "does not exist"]) || says(["模型", "不存在"])
    }
}

/// The failure that an answer with an error status tells of. `body` may be cut off.
pub fn read_failure(status: u16, retry_after: Option<&str>, body: &[u8]) -> UpstreamError {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let mut error = json.as_ref().and_then(refusal_in).unwrap_or_else(|| {
        let message = match &json {
            Some(Value::Object(o)) => o.get("message").or(o.get("detail")).and_then(Value::as_str).map(shorten),
            _ => None,
        };
        match message {
            Some(message) => UpstreamError { quoted: true, ..UpstreamError::new(Class::Server, message) },
            None => UpstreamError::ours(
                Class::Server,
                format!("上游返回了状态码 {status}"),
                format!("the upstream answered with status {status}"),
            ),
        }
    });
    error.status = Some(status);
    if matches!(status, 404 | 405) && !error.names_model() {
        error.message.push_str(WRONG_URL);
    }
    let by_status = match status {
        401 | 403 => Some(Class::Auth),
        402 => Some(Class::Balance),
        408 | 504 | 524 => Some(Class::Timeout),
        413 => Some(Class::TooLarge),
        429 => Some(Class::RateLimited),
        400..=499 => Some(Class::BadParameter),
        _ => None,
    };
    if let (Class::Server, Some(class)) = (error.class, by_status) {
        error.class = class;
    }
    error.retry_after = error.retry_after.or_else(|| retry_after?.trim().parse().ok().map(Duration::from_secs));
    // A gateway in between may have cut off a job that runs on, so a 5xx proves nothing; a refusal does.
    let may_have_started = matches!(status, 408 | 499) || error.class == Class::BlockedOutput;
    error.not_started = (400..500).contains(&status) && !may_have_started;
    error.retry_after = error.retry_after.map(|after| after.min(RETRY_AFTER_MAX));
    error
}

/// The refusal inside a JSON answer, also one with status 200: `{"error":{…}}` or `{"error":"…"}`.
pub fn refusal_in(answer: &Value) -> Option<UpstreamError> {
    let inner = match answer.get("error")? {
        inner if says_nothing(inner) => return None,
        inner => inner,
    };
    let text = |key: &str| inner.get(key).and_then(Value::as_str);
    let code = text("code").or(text("status")).or(text("type")).map(str::to_owned);
    let said = text("message").or(inner.as_str());
    let [zh, message] = match said {
        Some(said) => ["", said],
        None => ["上游拒绝了请求，没有说明原因", "the upstream refused without saying why"],
    };
    let everything = format!("{} {} {} {message}", text("code").unwrap_or(""), text("type").unwrap_or(""), text("status").unwrap_or(""));
    let mut error = UpstreamError::new(classify(&everything.to_ascii_lowercase()), shorten(message));
    error.quoted = said.is_some();
    error.chinese = said.is_none().then(|| zh.to_owned());
    error.code = code;
    error.param = text("param").filter(|param| !param.is_empty()).map(str::to_owned);
    error.status = inner.get("code").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
    error.retry_after = retry_delay(inner);
    if is_daily_quota(inner) {
        error.class = Class::QuotaExhausted;
    }
    Some(error)
}

/// Why an answer holds neither a picture nor a word, told from how it ended: OpenAI's `finish_reason`, or the one of
/// Gemini that relays pass on.
pub fn ended_in_silence(reasons: &[&str]) -> UpstreamError {
    const INPUT: [&str; 6] = ["prohibited_content", "blocklist", "spii", "model_armor", "prompt_blocked", "language"];
    const OUTPUT: [&str; 5] = ["content_filter", "safety", "recitation", "image_prohibited_content", "moderation"];
    let reasons: Vec<String> = reasons.iter().map(|reason| reason.to_ascii_lowercase()).collect();
    let any = |words: &[&str], exact: bool| {
        reasons.iter().any(|reason| words.iter().any(|w| if exact { reason == w } else { reason.contains(w) }))
    };
    let class = if any(&INPUT, true) {
        Class::BlockedInput
    } else if any(&OUTPUT, false) {
        Class::BlockedOutput
    } else {
        Class::NoImage
    };
    let why = reasons.iter().find(|reason| !matches!(reason.as_str(), "stop" | ""));
    let mut error = match (class, why.map(|why| shorten(why))) {
        (Class::NoImage, None) => UpstreamError::new(class, ""),
        (_, None) => UpstreamError::ours(class, "上游没有给出回答", "the upstream withheld its answer"),
        (_, Some(why)) => UpstreamError::ours(class, format!("上游以“{why}”结束"), format!("the upstream ended with '{why}'")),
    };
    error.code = why.cloned();
    error
}

/// Relays write an empty error beside a good answer.
fn says_nothing(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.is_empty() || text.eq_ignore_ascii_case("ok") || text.eq_ignore_ascii_case("success"),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.values().all(|v| says_nothing(v) || v.as_i64() == Some(0)),
    }
}

fn classify(text: &str) -> Class {
    const WORDS: [(Class, &[&str]); 8] = [
        (Class::BlockedOutput, &["image_safety", "image_prohibited", "image_recitation"]),
        (
            Class::BlockedInput,
            &[
                "moderation_blocked",
                "safety_violation",
                "safety system",
                "content_policy",
                "prompt_blocked",
                "prohibited_content",
                "blocked by gemini",
                "content_filter",
            ],
        ),
        (Class::Balance, &["billing_hard_limit", "insufficient_user_quota", "insufficient balance", "余额不足", "spend_limit"]),
        (Class::QuotaExhausted, &["insufficient_quota", "quota exceeded", "exceeded your current quota", "额度", "配额"]),
        (Class::RateLimited, &["rate_limit", "resource_exhausted", "too many requests"]),
        (Class::Auth, &["invalid_api_key", "unauthorized", "authentication", "permission_denied", "incorrect api key"]),
        (Class::TooLarge, &["too large", "payload_too_large", "context_length_exceeded"]),
        (
            Class::BadParameter,
            &[
                "invalid_request_error",
                "invalid_argument",
                "unknown_parameter",
                "invalid_image_file",
                "convert_request_failed",
                "unsupported",
            ],
        ),
    ];
    WORDS.iter().find(|(_, words)| words.iter().any(|word| text.contains(word))).map_or(Class::Server, |(class, _)| *class)
}

/// `RetryInfo.retryDelay`, such as `"17s"` (google.rpc).
fn retry_delay(error: &Value) -> Option<Duration> {
    let delay = error.get("details")?.as_array()?.iter().find_map(|d| d.get("retryDelay")?.as_str())?;
    delay.trim_end_matches('s').parse().ok().filter(|s: &f64| s.is_finite() && (0.0..1e7).contains(s)).map(Duration::from_secs_f64)
}

fn is_daily_quota(error: &Value) -> bool {
    let details = error.get("details").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let violations = details.iter().filter_map(|d| d.get("violations")?.as_array()).flatten();
    violations.filter_map(|v| v.get("quotaId")?.as_str()).any(|id| id.contains("PerDay"))
}

/// Signs that change the order of what is read, or are not seen.
fn is_hidden(sign: char) -> bool {
    sign.is_control() || matches!(sign, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Shortened, on one line, without hidden signs or anything that looks like a key.
fn shorten(message: &str) -> String {
    let seen: String = message.chars().map(|sign| if is_hidden(sign) { ' ' } else { sign }).collect();
    let clean: Vec<String> =
        seen.split_whitespace().map(|word| if looks_secret(word) { "***".to_owned() } else { word.to_owned() }).collect();
    let clean = clean.join(" ");
    if clean.chars().count() <= MESSAGE_MAX {
        return clean;
    }
    clean.chars().take(MESSAGE_MAX).chain("…".chars()).collect()
}

fn looks_secret(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let prefixed = ["sk-", "pg-", "AIza", "Bearer", "key=", "sk_"].iter().any(|p| word.contains(p));
    let run = word.split(|c: char| !c.is_ascii_alphanumeric()).map(str::len).max().unwrap_or(0);
    let mixed = word.bytes().any(|b| b.is_ascii_digit()) && word.bytes().any(|b| b.is_ascii_alphabetic());
    prefixed && word.len() > 8 || run >= 32 && mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sighted_refusal_finds_its_class() {
        for (status, body, class) in [
            (
                400,
                r#"{"error":{"message":"Your request was rejected by the safety system.","type":"image_generation_user_error","code":"moderation_blocked"}}"#,
                Class::BlockedInput,
            ),
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota..","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                Class::QuotaExhausted,
            ),
            (
                429,
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"17s"}]}}"#,
                Class::QuotaExhausted,
            ),
            (429, r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x"}}"#, Class::RateLimited),
            (500, r#"{"error":{"code":500,"status":"INTERNAL","message":"Internal error encountered."}}"#, Class::Server),
            (401, r#"{"error":{"message":"Incorrect API key provided: sk-abcdefghijkl"}}"#, Class::Auth),
            (502, "<html>bad gateway</html>", Class::Server),
            (524, "<html></html>", Class::Timeout),
            (413, "", Class::TooLarge),
            (
                400,
                r#"{"error":{"message":"gpt-image-2 does not accept multipart file upload; ..","type":"packy_api_error","code":"convert_request_failed"}}"#,
                Class::BadParameter,
            ),
            (400, r#"{"error":{"code":"billing_hard_limit_reached","message":"x\u001b[31m\u202ey"}}"#, Class::Balance),
            (422, r#"{"detail":"size"}"#, Class::BadParameter),
        ] {
            let error = read_failure(status, None, body.as_bytes());
            assert_eq!(error.class, class, "{body}");
            assert!(!error.message.contains("sk-abc"), "{}", error.message);
            assert!(!error.message.contains(is_hidden), "{}", error.message);
        }
        let retry = read_failure(429, Some("30"), b"{}").retry_after;
        assert_eq!(retry, Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_model_that_is_not_there_is_no_wrong_address() {
        for (status, body, wrong) in [
            (404, r#"{"error":{"code":"model_not_found","message":"The model `x` was not found"}}"#, false),
            (404, r#"{"error":{"message":"The model `x` does not exist or you do not have access to it."}}"#, false),
            (404, r#"{"error":{"message":"模型 x 不存在"}}"#, false),
            (404, r#"{"error":{"message":"page not found"}}"#, true),
            (405, "", true),
        ] {
            let error = read_failure(status, None, body.as_bytes());
            assert_eq!((error.class, error.without_remark(false).1), (Class::BadParameter, wrong), "{body}");
        }
    }

    #[test]
    fn success_with_an_error_inside_is_no_success() {
        let body = serde_json::json!({"type":"error","error":{"code":"moderation_blocked","message":"no"}});
        assert_eq!(refusal_in(&body).map(|e| e.class), Some(Class::BlockedInput));
        assert!(refusal_in(&serde_json::json!({"error":null,"data":[]})).is_none());
    }
}
