//! What Open WebUI sends to the chat's model after its own image feature has drawn: a system message that tells of it.
//! To draw once more would be paid for twice, so a model that draws is not asked at all.

use crate::rewrite::{
    json::{Document, Node},
    progress::Language,
};

/// Longest error that is repeated, in characters.
const ERROR_MAX: usize = 500;

/// The answer to such a notice; `None` if there is none. The texts are those of Open WebUI 0.12.4, `utils/middleware.py`.
pub fn answer(document: &Document, language: Language) -> Option<String> {
    let messages = document.root().get("messages").map_or(&[][..], Node::items);
    let is_system = |message: &&Node| document.string_at(message, "role").as_deref() == Some("system");
    let system = messages.iter().find(is_system).and_then(|message| document.string_at(message, "content"))?;
    let notice = system.rsplit_once("<context>")?.1.split_once("</context>")?.0;
    let pick = |zh: &str, en: &str| Some(if language == Language::Zh { zh.to_owned() } else { en.to_owned() });
    if notice.starts_with("The requested image has been edited and created") {
        return pick("图片已修改完成，请看上方。", "Your picture has been edited; it is shown above.");
    }
    if notice.starts_with("The requested image has been created by the system") {
        return pick("图片已画好，请看上方。", "Your picture is ready; it is shown above.");
    }
    if notice.starts_with("Image generation was requested but the feature is currently disabled") {
        return pick("图片功能已被管理员关闭，没有画图。", "The image feature is switched off by the administrator; nothing was drawn.");
    }
    if notice.starts_with("Image generation was attempted but failed") {
        let error = notice.split_once("the following error occurred: ").map_or("", |(_, error)| error).trim();
        let error: String = error.chars().take(ERROR_MAX).collect();
        return pick(&format!("图片没有画成：{error}"), &format!("The picture could not be drawn: {error}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_open_webuis_own_notices_are_answered() {
        for (system, answered) in [
            (
                "You are kind.\n<context>The requested image has been created by the system successfully and is now being shown to the user. Let the user know …</context>",
                Some("Your picture is ready; it is shown above."),
            ),
            (
                "<context>Image generation was attempted but failed. The system … Tell the user that the following error occurred: quota</context>",
                Some("The picture could not be drawn: quota"),
            ),
            ("<context>Documents about images</context>", None),
            ("The requested image has been created by the system", None),
        ] {
            let body = serde_json::json!({"messages": [{"role": "system", "content": system}, {"role": "user", "content": "draw"}]});
            let document = Document::parse(body.to_string().into_bytes(), 64).expect("JSON");
            assert_eq!(answer(&document, Language::En).as_deref(), answered, "{system}");
        }
    }
}
