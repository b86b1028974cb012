//! The settings that exist: their names, what values they take and what holds when nothing is set. Every one of them
//! can also be fixed from outside by a variable of the same name.

use url::Url;

use super::{Aliases, Saying};

/// Longest value, in bytes.
const VALUE_MAX: usize = 64 * 1024;

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text of at most this many bytes; may be empty.
    Text(usize),
    /// A name: not empty, one line, at most this many bytes.
    Name(usize),
    /// `true` or `false`.
    Switch,
    /// A whole number in this range.
    Number(u32, u32),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Nothing, or an address without `?`, `#` and `@`.
    BaseUrl,
    /// [`Aliases`].
    Aliases,
    /// Host names, separated by commas or lines.
    Hosts,
    /// What names of objects begin with: at most this many bytes; may be empty.
    Prefix(usize),
    /// A key that is kept apart from the others and never shown: at most this many bytes.
    Secret(usize),
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the table and for the admin API.
    pub key: &'static str,
    /// What holds when nothing is set.
    pub default: &'static str,
    /// What it takes.
    pub shape: Shape,
}

const fn setting(key: &'static str, default: &'static str, shape: Shape) -> Setting {
    Setting { key, default, shape }
}

/// All of them.
pub const SETTINGS: &[Setting] = &[
    // The model name that clients see.
    setting("gateway_model", "picgate", Shape::Name(256)),
    // What links begin with; empty to infer it from the request.
    setting("public_base_url", "", Shape::BaseUrl),
    // Whether pictures that users send with image requests are kept.
    setting("keep_uploads", "true", Shape::Switch),
    // Whether images of other servers that users name are fetched and sent as images.
    setting("fetch_external_images", "false", Shape::Switch),
    // How waiting looks in a stream.
    setting("progress_style", "content", Shape::Word(&["content", "reasoning", "quiet"])),
    // The language of progress and errors; auto goes by the prompt's script.
    setting("language", "auto", Shape::Word(&["auto", "zh", "en"])),
    // Words that tell of a drawing, one a line; empty for the built-in list.
    setting("intent_words", "", Shape::Text(VALUE_MAX)),
    // The upstream's text model for the client's background tasks; empty to answer them here.
    setting("task_model", "", Shape::Text(256)),
    // How long the upstream's quota runs, in words such as "5 小时" or "5 hours"; told when it is used up.
    setting("quota_window", "", Shape::Text(200)),
    // Whether whole answers of JSON begin with white space while they are waited for.
    setting("json_keep_alive", "false", Shape::Switch),
    // Whether whole chat answers have a list of parts as content.
    setting("content_array", "false", Shape::Switch),
    // What the Images API answers with if the client does not say.
    setting("images_response", "auto", Shape::Word(&["auto", "b64_json", "url"])),
    // Images of a conversation that are sent along, the latest ones.
    setting("history_images", "8", Shape::Number(1, 64)),
    // Megabytes of images that are sent along.
    setting("history_mb", "20", Shape::Number(1, 200)),
    // Who can reach the gateway: this computer, also containers of Docker on Linux, or everyone in the network.
    setting(LISTEN, "this_computer", Shape::Word(&["this_computer", "docker", "everyone"])),
    // Which notifications the desktop app shows.
    setting("notify_finished", "true", Shape::Switch),
    setting("notify_failed", "true", Shape::Switch),
    setting("notify_disk", "true", Shape::Switch),
    setting("notify_bucket", "true", Shape::Switch),
    // Host names by which the admin may be called, beside those that are known.
    setting("allowed_hosts", "", Shape::Hosts),
    // Further model names with presets.
    setting("model_aliases", super::DEFAULT_ALIASES, Shape::Aliases),
    // Cloudflare's account, which makes the endpoint of R2.
    setting("r2_account_id", "", Shape::Text(256)),
    setting("r2_access_key_id", "", Shape::Text(256)),
    setting(BUCKET_SECRET, "", Shape::Secret(1024)),
    setting("r2_bucket", "", Shape::Text(256)),
    // Another S3-compatible server than R2.
    setting("s3_endpoint", "", Shape::BaseUrl),
    setting("s3_region", "auto", Shape::Name(64)),
    // What the names of all objects begin with.
    setting("s3_prefix", "picgate/", Shape::Prefix(256)),
    // Whether an image is copied to the bucket before its link is given out: for several gateways on one bucket.
    setting("s3_write", "behind", Shape::Word(&["behind", "through"])),
    // The bucket's own public domain; and whether our links lead there, or new ones name it.
    setting("bucket_public_url", "", Shape::BaseUrl),
    setting("bucket_links", "gateway", Shape::Word(&["gateway", "redirect", "direct"])),
    // Hours after the last look until the copy on disk goes, if there is one in the bucket; 0 for never.
    setting("cache_ttl_hours", "72", Shape::Number(0, 87_600)),
    // Megabytes of images on disk; 0 for no limit.
    setting("cache_cap_mb", "0", Shape::Number(0, 100_000_000)),
    // Whether the limit may cost images that have no copy in the bucket.
    setting("evict_last_copy", "false", Shape::Switch),
    // Days after which prompt, parameters and row of an image are forgotten, if it is in the bucket; 0 for never.
    setting("retention_days", "365", Shape::Number(0, 36_500)),
    // Whether its object goes with them.
    setting("delete_cloud_with_metadata", "false", Shape::Switch),
];

/// The one setting that is a key.
pub const BUCKET_SECRET: &str = "r2_secret_access_key";

/// The setting that opens the gateway to others: it takes the password, and a fixed address locks it.
pub const LISTEN: &str = "listen";

impl Setting {
    /// The setting called `key`.
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The variable that fixes it: `PICGATE_GATEWAY_MODEL`.
    pub fn variable(&self) -> String {
        format!("PICGATE_{}", self.key.to_ascii_uppercase())
    }

    /// The value as it is kept.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn check(&self, value: &str) -> Result<String, Saying> {
        let value = value.trim();
        let longest = match self.shape {
            Shape::Text(most) | Shape::Name(most) | Shape::Prefix(most) | Shape::Secret(most) => most,
            _ => VALUE_MAX,
        };
        if value.len() > longest {
            return Err(Saying::new(format!("超过 {longest} 字节"), format!("is longer than {longest} bytes")));
        }
        match self.shape {
            Shape::Text(_) => Ok(value.to_owned()),
            Shape::Secret(_) if value.bytes().any(|b| !b.is_ascii_graphic()) => {
                Err(Saying::new("含有空格或密钥里不会有的字符", "holds blanks or other characters that no key has"))
            }
            Shape::Secret(_) => Ok(value.to_owned()),
            Shape::Prefix(_) => prefix(value),
            Shape::Name(_) if value.is_empty() => Err(Saying::new("是空的", "is empty")),
            Shape::Name(_) if value.chars().any(char::is_control) => Err(controls()),
            Shape::Name(_) => Ok(value.to_owned()),
            Shape::Switch => switch(value),
            Shape::Number(least, most) => match value.parse::<u32>() {
                Ok(number) if (least..=most).contains(&number) => Ok(number.to_string()),
                _ => Err(Saying::new(
                    format!("“{value}”不是 {least} 到 {most} 之间的整数"),
                    format!("'{value}' is no whole number from {least} to {most}"),
                )),
            },
            Shape::Word(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(value)) {
                Some(word) => Ok((*word).to_owned()),
                None => Err(Saying::new(
                    format!("“{value}”不在可选的值里：{}", words.join("、")),
                    format!("'{value}' is none of {}", words.join(", ")),
                )),
            },
            Shape::BaseUrl if value.is_empty() => Ok(String::new()),
            // Clients are given the address with `/v1`, and that is what people copy.
            Shape::BaseUrl if self.key == "public_base_url" => base_url(value).map(|url| url.trim_end_matches("/v1").to_owned()),
            Shape::BaseUrl => base_url(value),
            Shape::Aliases => Aliases::parse(value).map(|_| value.to_owned()),
            Shape::Hosts => hosts(value).map(|hosts| hosts.join("\n")),
        }
    }

    /// What a person may write.
    pub fn remedy(&self) -> Saying {
        match self.shape {
            Shape::Text(most) => Saying::new(format!("请填写不超过 {most} 字节的文字"), format!("write text of at most {most} bytes")),
            Shape::Secret(_) => Saying::new("请只填写密钥本身，占一行", "write the key alone, on one line"),
            Shape::Name(_) => Saying::new("请填写一行名称", "write a name on one line"),
            Shape::Prefix(_) => {
                Saying::new("请填写对象名的开头，例如 picgate/", "write what names of objects shall begin with, such as picgate/")
            }
            Shape::Switch => Saying::new("请填写 true 或 false", "use true or false"),
            Shape::Number(least, most) => {
                Saying::new(format!("请填写 {least} 到 {most} 之间的整数"), format!("use a whole number from {least} to {most}"))
            }
            Shape::Word(words) => Saying::new(format!("请填写其中之一：{}", words.join("、")), format!("use one of {}", words.join(", "))),
            Shape::BaseUrl if self.key == "s3_endpoint" => Saying::new(
                "请填写存储服务的地址，例如 https://minio.example.com",
                "write the address of the storage server, such as https://minio.example.com",
            ),
            Shape::BaseUrl => Saying::new(
                "请填写链接的开头，例如 https://img.example.com",
                "write what links shall begin with, such as https://img.example.com",
            ),
            Shape::Hosts => Saying::new(
                "请填写不带端口的主机名，例如 picgate.example.com",
                "write host names without port, such as picgate.example.com",
            ),
            Shape::Aliases => Saying::new(
                "请每行填写一个别名，例如 picgate-16x9-4k: --ar 16:9 --size 4k",
                "write one alias a line, such as picgate-16x9-4k: --ar 16:9 --size 4k",
            ),
        }
    }
}

/// Host names in small letters.
///
/// # Errors
/// Which one is none.
pub fn hosts(text: &str) -> Result<Vec<String>, Saying> {
    let fits = |name: &str| {
        let labels = name
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        name.len() <= 253 && labels
    };
    let names = text.split([',', ';', '\n', ' ', '\r']).map(|name| name.trim().trim_end_matches('.').to_ascii_lowercase());
    names
        .filter(|name| !name.is_empty())
        .map(|name| match fits(&name) {
            true => Ok(name),
            false => Err(Saying::new(format!("“{name}”不是主机名"), format!("'{name}' is no host name"))),
        })
        .collect()
}

/// `|` stands between the parts of a bucket's place in the database; the rest would make names that servers and their
/// tools read differently.
fn prefix(text: &str) -> Result<String, Saying> {
    if text.chars().any(char::is_control) {
        return Err(controls());
    }
    match ["|", "..", "\\"].iter().find(|part| text.contains(**part)) {
        Some(part) => {
            Err(Saying::new(format!("含有对象名里不能有的“{part}”"), format!("holds '{part}', which the names of objects must not")))
        }
        None if text.starts_with('/') => Err(Saying::new("以“/”开头", "begins with '/'")),
        None => Ok(text.to_owned()),
    }
}

fn switch(text: &str) -> Result<String, Saying> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok("true".into()),
        "false" | "0" | "no" | "off" => Ok("false".into()),
        _ => Err(Saying::new(format!("“{text}”既不是 true 也不是 false"), format!("'{text}' is neither true nor false"))),
    }
}

fn controls() -> Saying {
    Saying::new("含有换行或其他控制字符", "holds a line break or another control character")
}

fn base_url(text: &str) -> Result<String, Saying> {
    let url = Url::parse(text).map_err(|_| Saying::new(format!("“{text}”不是网址"), format!("'{text}' is not a URL")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(Saying::new("不是以 http:// 或 https:// 加主机名开头", "does not begin with http:// or https:// and a host"));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(Saying::new("必须是不含“?”“#”“@”的普通地址", "must be a plain address without '?', '#' or '@'"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_is_taken() {
        for setting in SETTINGS {
            assert!(setting.check(setting.default).is_ok(), "{}", setting.key);
        }
    }

    #[test]
    fn values_are_checked_and_kept_in_one_spelling() {
        let check = |key: &str, value: &str| Setting::find(key).expect("a setting").check(value);
        assert_eq!(check("keep_uploads", " Yes "), Ok("true".into()));
        assert_eq!(check("public_base_url", "https://img.example.com/"), Ok("https://img.example.com".into()));
        assert_eq!(check("public_base_url", "http://localhost:5643/v1"), Ok("http://localhost:5643".into()));
        assert_eq!(check("history_images", "08"), Ok("8".into()));
        assert_eq!(check("progress_style", "Quiet"), Ok("quiet".into()));
        assert_eq!(check("s3_prefix", "画图/a b.c/"), Ok("画图/a b.c/".into()));
        assert_eq!(check("s3_prefix", ""), Ok(String::new()));
        for (key, value) in [
            ("keep_uploads", "maybe"),
            ("public_base_url", "img.example.com"),
            ("public_base_url", "https://a@b/"),
            ("history_images", "65"),
            ("history_mb", "-1"),
            ("progress_style", "loud"),
            ("gateway_model", " "),
            ("gateway_model", "a\nb"),
            ("s3_prefix", "a|b/"),
            ("s3_prefix", "a/../b/"),
            ("s3_prefix", "/a/"),
            ("s3_prefix", "a\\b/"),
            ("s3_prefix", "a\u{1}b/"),
            ("s3_prefix", "a\nb/"),
            ("model_aliases", "no flags here"),
        ] {
            assert!(check(key, value).is_err(), "{key}={value}");
        }
    }
}
