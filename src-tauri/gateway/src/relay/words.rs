//! What a person is told of a failure, in Chinese or in English: what happened, whether it cost anything, and when to
//! try again.

use std::time::Duration;

use crate::{
    rewrite::progress::{Card, Language, card},
    settings::{Settings, Speech},
    upstream::{Class, UpstreamError},
};

/// The words for one failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    title: String,
    headline: String,
    lines: Vec<String>,
    hint: &'static str,
}

impl Told {
    /// One after the other, for JSON.
    pub fn message(&self, language: Language) -> String {
        let (stop, gap) = if language == Language::Zh { ("。", "") } else { (". ", "") };
        format!("{}{stop}{gap}{}", self.headline, self.lines.join(if language == Language::Zh { "" } else { " " }))
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        self.hint
    }

    /// As a card in the text of an answer.
    pub fn card(&self) -> String {
        card(&Card { title: &self.title, headline: &self.headline, lines: &self.lines, hint: self.hint })
    }
}

/// The language for someone who wrote `prompt`.
pub fn language(settings: &Settings, prompt: &str) -> Language {
    match settings.speech {
        Speech::Zh => Language::Zh,
        Speech::En => Language::En,
        Speech::Auto => Language::of(prompt),
    }
}

/// Why nothing is drawn while the gateway is paused, and what helps.
pub fn paused(language: Language) -> &'static str {
    match language {
        Language::Zh => "PicGate 已暂停，暂时不接受新的请求。请在托盘菜单或管理页面中点“继续”，然后重新发送。本次没有产生费用。",
        Language::En => {
            "PicGate is paused and takes no new requests. Choose 'Resume' in its tray menu or on its admin page, then send this again. It cost nothing."
        }
    }
}

/// Words for `error`; `model` is the name that the client knows.
pub fn tell(error: &UpstreamError, language: Language, model: &str, quota_window: Option<&str>) -> Told {
    let pick = |zh: &'static str, en: &'static str| if language == Language::Zh { zh } else { en };
    let (headline, line, hint) = what(error.class, language, model, quota_window);
    let mut lines = vec![line];
    if error.class == Class::NoImage && !error.message.is_empty() {
        lines = vec![error.said(language == Language::Zh).to_owned()];
    }
    if let Some(after) = error.retry_after.filter(|after| !after.is_zero()) {
        lines.push(match language {
            Language::Zh => format!("预计{}后可以重试。", duration(after, language)),
            Language::En => format!("It can be tried again in about {}.", duration(after, language)),
        });
    }
    let cost = if error.is_free() {
        pick("本次没有产生费用。", "This cost nothing.")
    } else {
        pick("上游可能已经计费，重试前请先查看账单。", "The upstream may have charged for it.")
    };
    lines.push(cost.to_owned());
    if error.class != Class::NoImage && !error.message.is_empty() {
        let (message, has_wrong_url) = error.without_remark(language == Language::Zh);
        if has_wrong_url {
            lines.push(pick("请检查上游地址，它通常以 /v1 结尾。", "Check the upstream's base URL; it usually ends in /v1.").to_owned());
        }
        // Our own words are not put into the upstream's mouth.
        let label = if error.quoted { pick("上游说明：", "The upstream says: ") } else { pick("具体情况：", "In detail: ") };
        lines.push(format!("{label}{message}"));
    }
    let title = match error.class {
        Class::BlockedInput | Class::BlockedOutput => pick("内容未通过审核", "Blocked by the content policy"),
        Class::NoImage => pick("没有画出图片", "No picture"),
        Class::BadParameter | Class::TooLarge => pick("请求无法处理", "The request cannot be used"),
        _ => pick("服务暂时不可用", "Service temporarily unavailable"),
    };
    Told { title: title.to_owned(), headline, lines, hint }
}

/// Headline, first line and hint of a class.
fn what(class: Class, language: Language, model: &str, quota_window: Option<&str>) -> (String, String, &'static str) {
    let zh = language == Language::Zh;
    let say = |headline_zh: &str, headline_en: &str, line_zh: &str, line_en: &str, hint_zh: &'static str, hint_en: &'static str| {
        if zh { (headline_zh.to_owned(), line_zh.to_owned(), hint_zh) } else { (headline_en.to_owned(), line_en.to_owned(), hint_en) }
    };
    match class {
        Class::QuotaExhausted => {
            let (line_zh, line_en) = match quota_window {
                Some(window) => (
                    format!("服务器每 {window}的绘图配额已全部使用完毕，请稍后再试。"),
                    format!("The drawing quota of every {window} is used up."),
                ),
                None => ("上游的绘图配额已全部使用完毕，请稍后再试。".to_owned(), "The upstream's drawing quota is used up.".to_owned()),
            };
            say(
                &format!("{model} 绘图配额已用尽"),
                &format!("The drawing quota of {model} is used up"),
                &line_zh,
                &line_en,
                "建议等待一段时间后重新发起请求",
                "Wait a while and send the request again",
            )
        }
        Class::RateLimited => say(
            "请求过于频繁",
            "Too many requests at a time",
            "上游暂时限制了请求频率。",
            "The upstream limits how many requests it takes at a time.",
            "稍等片刻后重新发起请求",
            "Wait a moment and send the request again",
        ),
        Class::Balance => say(
            "上游账户余额不足",
            "The upstream account has run out of money",
            "上游账户需要充值或提高消费上限。",
            "The account needs money or a higher spending limit.",
            "充值后重新发起请求",
            "Top it up, then send the request again",
        ),
        Class::Auth => say(
            "上游拒绝了 API 密钥",
            "The upstream refuses PicGate's API key",
            "请在 PicGate 的设置页面检查上游密钥和模型权限。",
            "Check the upstream's settings.",
            "修改设置后重新发起请求",
            "Correct the settings, then send the request again",
        ),
        Class::BlockedInput => say(
            "提示词或图片被上游拒绝",
            "The prompt or a picture was refused",
            "内容审核没有通过，原样重试会得到同样的结果。",
            "It did not pass the content filter; the same again will be refused again.",
            "换一种描述再试",
            "Describe it in another way",
        ),
        Class::BlockedOutput => say(
            "画好的图片被上游拦截",
            "The picture was drawn and withheld",
            "图片没有通过内容审核，原样重试可能再次计费。",
            "It did not pass the content filter; the same again may be charged again.",
            "换一种描述再试",
            "Describe it in another way",
        ),
        Class::NoImage => say(
            "模型没有返回图片",
            "The model answered without a picture",
            "上游没有返回图片，也没有说明原因。",
            "The upstream sent no picture and no reason.",
            "把想画的内容说得更具体一些",
            "Say more clearly what is to be drawn",
        ),
        Class::BadParameter => say(
            "上游不接受请求中的参数",
            "The upstream does not take a parameter",
            "请检查模型名称、尺寸等参数。",
            "Check the model's name, the size and other parameters.",
            "修改后重新发起请求",
            "Correct it, then send the request again",
        ),
        Class::TooLarge => say(
            "请求超出了上游的大小限制",
            "The request is too large for the upstream",
            "对话中的图片太大或太多。",
            "The pictures of the conversation are too large or too many.",
            "开始新的对话，或换用较小的图片",
            "Begin a new conversation or use smaller pictures",
        ),
        Class::Timeout => say(
            "上游响应超时",
            "The upstream took too long",
            "上游在规定时间内没有给出结果。",
            "It did not answer in time.",
            "稍后再试",
            "Try again later",
        ),
        Class::Server => say(
            "上游服务出错",
            "The upstream failed",
            "上游服务器返回了错误。",
            "Its server answered with an error.",
            "稍后再试",
            "Try again later",
        ),
        Class::Connection => say(
            "无法连接上游",
            "The upstream cannot be reached",
            "连接中断或无法建立。",
            "The connection broke or could not be made.",
            "检查网络和上游地址后再试",
            "Check the network and the upstream's address, then try again",
        ),
        Class::BadAnswer => say(
            "无法读取上游的回答",
            "The upstream's answer cannot be read",
            "回答不完整或图片已损坏。",
            "It is incomplete or its picture is damaged.",
            "稍后再试",
            "Try again later",
        ),
    }
}

/// Rounded up, in the two largest units.
fn duration(time: Duration, language: Language) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let seconds = match seconds {
        0..60 => seconds,
        60..86_400 => seconds.next_multiple_of(60),
        _ => seconds.next_multiple_of(3600),
    };
    let zh = language == Language::Zh;
    let unit = |count: u64, zh_name: &str, en_name: &str| match (zh, count) {
        (true, _) => format!(" {count} {zh_name}"),
        (false, 1) => format!("1 {en_name} "),
        (false, _) => format!("{count} {en_name}s "),
    };
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let parts = if seconds < 60 {
        unit(seconds, "秒", "second")
    } else if days > 0 {
        unit(days, "天", "day") + &if hours > 0 { unit(hours, "小时", "hour") } else { String::new() }
    } else if hours > 0 {
        unit(hours, "小时", "hour") + &if minutes > 0 { unit(minutes, "分钟", "minute") } else { String::new() }
    } else {
        unit(minutes, "分钟", "minute")
    };
    if zh { parts } else { parts.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [Class; 13] = [
        Class::QuotaExhausted,
        Class::RateLimited,
        Class::Balance,
        Class::Auth,
        Class::BlockedInput,
        Class::BlockedOutput,
        Class::NoImage,
        Class::BadParameter,
        Class::TooLarge,
        Class::Timeout,
        Class::Server,
        Class::Connection,
        Class::BadAnswer,
    ];

    #[test]
    fn every_class_is_told_in_both_languages_and_in_one_of_them_only() {
        let is_han = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for class in CLASSES {
            let error = UpstreamError::new(class, "");
            let zh = tell(&error, Language::Zh, "picgate", None).message(Language::Zh);
            let en = tell(&error, Language::En, "picgate", None).message(Language::En);
            assert!(is_han(&zh) && !is_han(&en), "{zh} / {en}");
        }
    }

    #[test]
    fn a_used_up_quota_says_when_it_comes_back() {
        let mut error = UpstreamError { quoted: true, ..UpstreamError::new(Class::QuotaExhausted, "exceeded") };
        error.retry_after = Some(Duration::from_secs(2 * 3600 + 5 * 60));
        let told = tell(&error, Language::Zh, "picgate", Some("5 小时")).message(Language::Zh);
        assert_eq!(
            told,
            "picgate 绘图配额已用尽。服务器每 5 小时的绘图配额已全部使用完毕，请稍后再试。预计 2 小时 5 分钟后可以重试。本次没有产生费用。上游说明：exceeded"
        );
        let told = tell(&error, Language::En, "picgate", Some("5 hours")).message(Language::En);
        assert!(told.contains("every 5 hours") && told.contains("in about 2 hours 5 minutes."), "{told}");
    }

    #[test]
    fn only_what_the_upstream_said_is_told_as_its_words() {
        let told = |error: &UpstreamError, language| tell(error, language, "picgate", None).message(language);
        let refused = crate::upstream::read_failure(400, None, br#"{"error":{"message":"bad size"}}"#);
        assert!(told(&refused, Language::Zh).ends_with("上游说明：bad size"));
        assert!(told(&refused, Language::En).ends_with("The upstream says: bad size"));
        let no_end = UpstreamError::ours(Class::BadAnswer, "回答没有结尾", "the answer has no end");
        for ours in [no_end, crate::upstream::read_failure(502, None, b"<html>"), crate::upstream::read_failure(404, None, b"")] {
            let (zh, en) = (told(&ours, Language::Zh), told(&ours, Language::En));
            assert!(zh.contains("具体情况：") && !zh.contains("上游说明") && !zh.contains("the "), "{zh}");
            assert!(en.contains("In detail: ") && !en.contains("upstream says"), "{en}");
        }
        let lost = crate::upstream::read_failure(404, None, br#"{"error":{"message":"page not found"}}"#);
        assert!(told(&lost, Language::Zh).ends_with("请检查上游地址，它通常以 /v1 结尾。上游说明：page not found"));
    }

    #[test]
    fn durations_are_rounded_up() {
        for (ms, zh, en) in
            [(200, " 1 秒", "1 second"), (17_000, " 17 秒", "17 seconds"), (61_000, " 2 分钟", "2 minutes"), (86_400_000, " 1 天", "1 day")]
        {
            let time = Duration::from_millis(ms);
            assert_eq!((duration(time, Language::Zh).as_str(), duration(time, Language::En).as_str()), (zh, en));
        }
    }
}
