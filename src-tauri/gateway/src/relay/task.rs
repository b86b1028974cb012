//! Recognises the background tasks that Open WebUI sends to the chat's own model (titles, tags, follow-ups and the like)
//! and answers them without a model, so that they never draw, wait or cost anything. Knows their shape, not their words:
//! the prompts are editable and translated.

mod history;
mod tags;
mod title;

use history::History;
use serde_json::Value;

/// How much of a prompt's instructions is looked at, in bytes; the longest of Open WebUI's own is 2,500.
const TEMPLATE_MAX: usize = 16 * 1024;

/// How much of the users' words tags and titles are made from, in bytes.
const WORDS_MAX: usize = 8 * 1024;

/// Longest drawing prompt that is handed back, in bytes; image models read less.
const PROMPT_MAX: usize = 64 * 1024;

/// A kind of background task, by the names of Open WebUI 0.12.4 (`constants.py`, `utils/memory.py`,
/// `utils/context_compaction.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A title for the chat.
    Title,
    /// What the user might say next.
    FollowUps,
    /// Tags for the chat.
    Tags,
    /// What to search the web or the user's documents for.
    Queries,
    /// A better prompt for Open WebUI's own image tool.
    ImagePrompt,
    /// The rest of what the user is typing.
    Autocomplete,
    /// A face for a spoken message.
    Emoji,
    /// Which tool to call, where the model calls none by itself.
    FunctionCalling,
    /// What to remember of the user.
    Memory,
    /// A summary that takes the place of older messages.
    Summary,
    /// A task, but the prompt does not tell which.
    Other,
}

impl Task {
    /// The stable word for logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::FollowUps => "follow_ups",
            Self::Tags => "tags",
            Self::Queries => "queries",
            Self::ImagePrompt => "image_prompt",
            Self::Autocomplete => "autocomplete",
            Self::Emoji => "emoji",
            Self::FunctionCalling => "function_calling",
            Self::Memory => "memory",
            Self::Summary => "summary",
            Self::Other => "other",
        }
    }

    /// Reads the header `X-OpenWebUI-Task`: `None` if it is empty (a chat), unknown, or names a task that wants a real
    /// model (`moa_response_generation`: the answers of several models become one, for the user to read).
    pub fn from_header(value: &str) -> Option<Self> {
        Some(match value.trim().to_ascii_lowercase().as_str() {
            "title_generation" => Self::Title,
            "follow_up_generation" => Self::FollowUps,
            "tags_generation" => Self::Tags,
            "query_generation" => Self::Queries,
            "image_prompt_generation" => Self::ImagePrompt,
            "autocomplete_generation" => Self::Autocomplete,
            "emoji_generation" => Self::Emoji,
            "function_calling" => Self::FunctionCalling,
            "memory_review" => Self::Memory,
            "context_compaction" => Self::Summary,
            _ => return None,
        })
    }

    /// Recognises a task in a request whose only messages are perhaps a system message and one user message. `system` may
    /// hold more than the task's own instructions: Open WebUI puts the system prompt of the model before them.
    pub fn from_text(system: Option<&str>, text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(task) = system.and_then(|system| from_system(system, text)) {
            return Some(task);
        }
        // Not editable in Open WebUI.
        if text.starts_with("Your task is to reflect the speaker's likely facial expression") && text.contains("\n\nMessage: ") {
            return Some(Self::Emoji);
        }
        let first = instruction(text);
        if first.as_deref().is_some_and(|line| line.starts_with("summarize the conversation"))
            && text.contains("\n### Messages Being Compacted:\n")
            && text.contains("\n### Recent Messages Kept In Context:")
        {
            return Some(Self::Summary);
        }
        let history = History::within_tags(text)?;
        // Open WebUI's prompt for answers from documents begins like a task; such a document may hold anything.
        if history.before.contains("<context>") {
            return None;
        }
        match first {
            Some(line) if history.is_set_apart() => Some(from_instruction(&line).unwrap_or_else(|| from_keys(&history))),
            _ if history.before.trim().is_empty() || !history.has_turns() => None,
            _ if history.after.trim().is_empty() => Some(Self::Other),
            // Instructions may go on behind the history.
            _ if history.after.len() <= TEMPLATE_MAX && !keys(&history).is_empty() => Some(Self::Other),
            _ => None,
        }
    }

    /// The content to answer with, in the shape that Open WebUI reads, made from the conversation inside `text`.
    pub fn answer(self, text: &str) -> String {
        let history = History::read(text);
        match self {
            Self::Title => format!("{{\"title\":{}}}", quote(&title_of(&history))),
            Self::FollowUps => "{\"follow_ups\":[]}".to_owned(),
            Self::Tags => format!("{{\"tags\":{}}}", tags_of(&history)),
            Self::Queries => "{\"queries\":[]}".to_owned(),
            Self::ImagePrompt => match prompt_of(&history) {
                // Where there is no JSON, Open WebUI draws the user's message itself: better than an empty prompt.
                prompt if prompt.is_empty() => String::new(),
                prompt => format!("{{\"prompt\":{}}}", quote(&prompt)),
            },
            Self::Autocomplete => "{\"text\":\"\"}".to_owned(),
            Self::Emoji => tags::mood(text.split_once("\n\nMessage: ").map_or("", |(_, message)| message)).to_owned(),
            Self::FunctionCalling => "{\"tool_calls\":[]}".to_owned(),
            Self::Memory => "{\"operations\":[]}".to_owned(),
            // Open WebUI then keeps the beginning of each message, and with it the links to the pictures.
            Self::Summary => String::new(),
            Self::Other => format!(
                "{{\"title\":{},\"tags\":{},\"follow_ups\":[],\"queries\":[],\"text\":\"\",\"prompt\":{},\"tool_calls\":[],\"operations\":[]}}",
                quote(&title_of(&history)),
                tags_of(&history),
                quote(&prompt_of(&history))
            ),
        }
    }
}

/// The tasks whose instructions stand in the system message.
fn from_system(system: &str, text: &str) -> Option<Task> {
    let asks = text.starts_with("Query: ") || (text.starts_with("History:\n") && text.contains("\"\"\"\nQuery: "));
    if asks && (system.contains("Available Tools:") || system.contains("\"tool_calls\"")) {
        return Some(Task::FunctionCalling);
    }
    (system.contains("private memory reviewer") && text.contains("\nExisting memories:\n")).then_some(Task::Memory)
}

/// The first line below the heading `### Task:`, in lower case.
fn instruction(text: &str) -> Option<String> {
    let heading = text.strip_prefix('#')?.trim_start_matches('#').trim_start_matches(' ');
    let rest = heading.get(..5).filter(|word| word.eq_ignore_ascii_case("task:")).map(|word| &heading[word.len()..])?;
    let line = rest.trim_start().lines().next().unwrap_or_default();
    Some(line[..line.floor_char_boundary(512)].to_lowercase())
}

/// The kind by the first sentence of Open WebUI's prompts, of this and earlier versions.
fn from_instruction(line: &str) -> Option<Task> {
    let kinds: [(&[&str], Task); 6] = [
        (&["autocompletion system"], Task::Autocomplete),
        (&["search queries", "search is necessary"], Task::Queries),
        (&["useful messages this user", "follow-up questions", "follow-ups"], Task::FollowUps),
        (&["broad tags"], Task::Tags),
        (&["image generation task"], Task::ImagePrompt),
        (&["title summarizing", "word title"], Task::Title),
    ];
    kinds.iter().find(|(signs, _)| signs.iter().any(|sign| line.contains(sign))).map(|(_, task)| *task)
}

/// The kind by the one key that the instructions name.
fn from_keys(history: &History<'_>) -> Task {
    match keys(history)[..] {
        [task] => task,
        _ => Task::Other,
    }
}

/// The kinds whose keys stand in the instructions.
fn keys(history: &History<'_>) -> Vec<Task> {
    let kinds = [
        ("title", Task::Title),
        ("follow_ups", Task::FollowUps),
        ("tags", Task::Tags),
        ("queries", Task::Queries),
        ("prompt", Task::ImagePrompt),
        ("text", Task::Autocomplete),
    ];
    let (before, after) = instructions(history);
    let named = |key: &str| [before, after].iter().any(|part| part.contains(&format!("\"{key}\"")));
    kinds.iter().filter(|(key, _)| named(key)).map(|(_, task)| *task).collect()
}

/// What stands around the conversation, within bounds.
fn instructions<'a>(history: &History<'a>) -> (&'a str, &'a str) {
    (head(history.before, TEMPLATE_MAX), head(history.after, TEMPLATE_MAX))
}

fn title_of(history: &History<'_>) -> String {
    let named = history.user_turns().find_map(|words| title::make(&history::without_blocks(words)));
    let (before, after) = instructions(history);
    let speaks = if history.inside.trim().is_empty() { before } else { history.inside };
    let title = named.unwrap_or_else(|| if is_chinese(speaks) { "AI 绘图" } else { "Image" }.to_owned());
    if title::wants_emoji(before) || title::wants_emoji(after) {
        return format!("{} {title}", tags::emoji(&user_words(history)));
    }
    title
}

/// A JSON array.
fn tags_of(history: &History<'_>) -> String {
    let words = user_words(history);
    let tags: Vec<Value> = tags::find(&words, is_chinese(&words)).into_iter().map(Value::from).collect();
    Value::from(tags).to_string()
}

fn prompt_of(history: &History<'_>) -> String {
    let last = history.user_turns().last();
    head(history::without_blocks(last.unwrap_or_default()).trim(), PROMPT_MAX).to_owned()
}

/// The words of all user turns, within bounds.
fn user_words(history: &History<'_>) -> String {
    let mut all = String::new();
    for words in history.user_turns() {
        let words = history::without_blocks(words);
        all.push_str(head(&words, WORDS_MAX - all.len()));
        all.push('\n');
        if all.len() >= WORDS_MAX {
            break;
        }
    }
    all
}

fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}'))
}

fn head(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// JSON text of a string. Open WebUI takes the JSON of an answer from its last `{` on, so none may stand in a string.
fn quote(text: &str) -> String {
    Value::from(text).to_string().replace('{', "\\u007b").replace('}', "\\u007d")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = "USER: Draw a red fox\nASSISTANT: Here is your image:\n\n\n\nDone.";

    /// The prompts of Open WebUI 0.12.4 and some earlier ones, shortened; `§` stands for the conversation.
    const PROMPTS: [(&str, Task); 17] = [
        (
            "### Task:\nGenerate a concise title summarizing the chat history.\n### Guidelines:\n- Do not use emojis, quotation marks, or special formatting.\n### Output:\nJSON format: { \"title\": \"your concise title here\" }\n### Chat History:\n<chat_history>\n§\n</chat_history>",
            Task::Title,
        ),
        (
            "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Chat History:\n<chat_history>\n§\n</chat_history>",
            Task::Title,
        ),
        (
            "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history, along with 1-3 more specific subtopic tags.\n\n### Output:\nJSON format: { \"tags\": [\"tag1\", \"tag2\", \"tag3\"] }\n\n### Chat History:\n<chat_history>\n§\n</chat_history>",
            Task::Tags,
        ),
        (
            "### Task:\nGenerate a detailed prompt for am image generation task based on the given language and context. Describe the image as if you were explaining it to someone who cannot see it.\n\n### Output:\nStrictly return in JSON format:\n{\n    \"prompt\": \"Your detailed description here.\"\n}\n\n### Chat History:\n<chat_history>\n§\n</chat_history>",
            Task::ImagePrompt,
        ),
        (
            "### Task:\nPredict 3-5 useful messages this user might naturally send next to advance their current objective.\n### Output:\nJSON format: { \"follow_ups\": [\"Suggested next message 1\"] }\n### Chat History:\n<chat_history>\n§\n</chat_history>",
            Task::FollowUps,
        ),
        (
            "### Task:\nSuggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next in this conversation as a **user**, based on the chat history.\n### Chat History:\n<chat_history>\n§\n</chat_history>\"",
            Task::FollowUps,
        ),
        (
            "### Task:\nAnalyze the chat history to determine the necessity of generating search queries, in the given language.\n\n### Output:\nStrictly return in JSON format: \n{\n  \"queries\": [\"query1\", \"query2\"]\n}\n\n### Chat History:\n<chat_history>\n§\n</chat_history>\n",
            Task::Queries,
        ),
        (
            "### Task:\nYou are an autocompletion system. Continue the text in `<text>` based on the **completion type** in `<type>` and the given language.  \n\n---\n### Context:\n<chat_history>\n§\n</chat_history>\n<type>General</type>  \n<text>Draw a pict</text>  \n#### Output:\n",
            Task::Autocomplete,
        ),
        (
            "Your task is to reflect the speaker's likely facial expression through a fitting emoji. Interpret emotions from the message and reflect their facial expression using fitting, diverse emojis (e.g., 😊, 😢, 😡, 😱).\n\nMessage: ```I love foxes```",
            Task::Emoji,
        ),
        (
            "### Task:\nSummarize the conversation history that will be compacted out of the active chat context.\n\n### Previous Summary:\n\n\n### Messages Being Compacted:\n§\n\n### Recent Messages Kept In Context:\nUSER: x",
            Task::Summary,
        ),
        // As in the recorded requests.
        (
            "### Task:\nGenerate a concise title summarizing the chat history.\n...\n### Output:\nJSON format: { ... }\n### Chat History:\n<chat_history>\n§\n</chat_history>",
            Task::Title,
        ),
        (
            "### Task:\nPredict 3-5 useful messages this user might naturally send next to advance their current objective.\n...\n### Output:\nJSON format: { ... }\n### Chat History:\n<chat_history>\n§\n</chat_history>",
            Task::FollowUps,
        ),
        (
            "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history, along with 1-3 more specific subtopic tags.\n...\n### Output:\nJSON format: { ... }\n### Chat History:\n<chat_history>\n§\n</chat_history>",
            Task::Tags,
        ),
        // Edited ones.
        (
            "### Task:\n为对话写一个标题。只输出 JSON：{ \"title\": \"标题\" }\n<chat_history>\n§\n</chat_history>\n\n不要解释。",
            Task::Title,
        ),
        ("### Task:\n为对话写点什么。\n<chat_history>\n§\n</chat_history>", Task::Other),
        ("请为以下对话生成标题，只返回 JSON：{\"title\": \"标题\"}\n<chat_history>\n§\n</chat_history>", Task::Other),
        ("请根据 <chat_history> 中的对话生成标签\n<chat_history>§</chat_history>\n格式：{\"tags\": []}", Task::Other),
    ];

    #[test]
    fn tasks_are_told_by_their_structure() {
        for (prompt, task) in PROMPTS {
            for chat in [CHAT, "USER: 画一只猫\nASSISTANT: ", "USER: ### Task:\n<context>a</context>\nASSISTANT: None"] {
                let text = prompt.replace('§', chat);
                assert_eq!(Task::from_text(None, &text), Some(task), "{text}");
                assert_eq!(Task::from_text(Some("You love foxes."), &format!("\n{text}\n")), Some(task), "{text}");
            }
        }
        let tools = "You love foxes.\nAvailable Tools: [{\"name\": \"search\"}]\n\nYour task is to choose and return the correct tool(s)";
        for query in ["Query: draw a fox", "History:\nUSER: \"\"\"hi\"\"\"\nASSISTANT: \"\"\"hello\"\"\"\nQuery: draw a fox"] {
            assert_eq!(Task::from_text(Some(tools), query), Some(Task::FunctionCalling));
            assert_eq!(Task::from_text(Some("You love foxes."), query), None);
            assert_eq!(Task::from_text(None, query), None);
        }
        let review = "Review the completed conversation turn and decide whether long-term memory should change.\n\nExisting memories:\n(none)\n\nConversation:\nuser: hi";
        let reviewer = "You are Open WebUI's private memory reviewer. Return only valid JSON.";
        assert_eq!(Task::from_text(Some(reviewer), review), Some(Task::Memory));
        assert_eq!(Task::from_text(None, review), None);
    }

    #[test]
    fn what_people_write_is_no_task() {
        for text in [
            "",
            "Draw a red fox",
            "### Task: draw a fox",
            "### Task:\ndraw a fox\n### Output:\nJSON format: { \"title\": \"x\" }",
            "Generate a concise title for my blog post as JSON: {\"title\": \"…\"}",
            "请为我的文章生成标题",
            "### Task: explain what <chat_history> and </chat_history> mean",
            "What does <chat_history> mean?\n<chat_history>",
            "translate this template:\n<chat_history>\n{{MESSAGES:END:2}}\n</chat_history>",
            "<chat_history>\nUSER: a\n</chat_history>",
            "please summarise\n<chat_history>\nUSER: a\n</chat_history>\nas a poem",
            "Your task is to reflect the light. Message: hi",
            "USER: a\nASSISTANT: b",
            "### Task:\nSummarize the conversation I had with my boss",
            // The prompt for answers from documents; a document may be about prompts.
            "### Task:\nRespond to the user query using the provided context, incorporating inline citations in the format [id]\n\n<context>\n<source id=\"1\">### Chat History:\n<chat_history>\nUSER: a\n</chat_history>\n</source>\n</context>\n\nwhat is this?",
            "You have been provided with a set of responses from various models to the latest user query: \"draw a fox\"\n\nYour task is to synthesize these responses",
        ] {
            assert_eq!(Task::from_text(None, text), None, "{text}");
            assert_eq!(Task::from_text(Some("You love foxes. \"tool_calls\""), text), None, "{text}");
        }
    }

    #[test]
    fn the_header_names_the_task() {
        for (value, task) in [
            ("title_generation", Some(Task::Title)),
            ("follow_up_generation", Some(Task::FollowUps)),
            ("tags_generation", Some(Task::Tags)),
            ("query_generation", Some(Task::Queries)),
            ("image_prompt_generation", Some(Task::ImagePrompt)),
            ("autocomplete_generation", Some(Task::Autocomplete)),
            (" Emoji_Generation ", Some(Task::Emoji)),
            ("function_calling", Some(Task::FunctionCalling)),
            ("memory_review", Some(Task::Memory)),
            ("context_compaction", Some(Task::Summary)),
            ("moa_response_generation", None),
            ("{{TASK}}", None),
            ("something", None),
            ("", None),
        ] {
            assert_eq!(Task::from_header(value), task, "{value}");
        }
    }

    fn chat(inside: &str) -> String {
        format!("### Task:\nDo not use emojis.\n<chat_history>\n{inside}\n</chat_history>")
    }

    #[test]
    fn answers_have_the_shape_that_the_client_reads() {
        for (task, inside, answer) in [
            (Task::Title, CHAT, r#"{"title":"Red fox"}"#),
            (Task::Title, "USER: 请帮我画一只红色的狐狸\nASSISTANT: ", r#"{"title":"红色的狐狸"}"#),
            (
                Task::Title,
                "USER: <attached_files>\n<file name=\"a.png\"/>\n</attached_files>\n\n去掉背景\nASSISTANT: 好",
                r#"{"title":"去掉背景"}"#,
            ),
            (Task::Title, "USER: \nASSISTANT: 好的", r#"{"title":"AI 绘图"}"#),
            (Task::Title, "USER: \nASSISTANT: ok", r#"{"title":"Image"}"#),
            (Task::Title, "USER: say \"{x}\"\nASSISTANT: ok", r#"{"title":"Say \"\u007bx\u007d"}"#),
            (Task::Tags, CHAT, r#"{"tags":["Art","Animals"]}"#),
            (Task::Tags, "USER: 画一只猫\nASSISTANT: \nUSER: 把背景换成大海", r#"{"tags":["绘画","图像编辑","动物","风景"]}"#),
            (Task::Tags, "USER: hi\nASSISTANT: hello", r#"{"tags":["General"]}"#),
            (Task::FollowUps, CHAT, r#"{"follow_ups":[]}"#),
            (Task::Queries, CHAT, r#"{"queries":[]}"#),
            (Task::Autocomplete, CHAT, r#"{"text":""}"#),
            (Task::FunctionCalling, "", r#"{"tool_calls":[]}"#),
            (Task::Memory, "", r#"{"operations":[]}"#),
            (Task::Summary, CHAT, ""),
            (Task::ImagePrompt, "USER: a fox\nASSISTANT: ok\nUSER: now {blue}\nat night", r#"{"prompt":"now \u007bblue\u007d\nat night"}"#),
            (Task::ImagePrompt, "USER: <attached_files>\n</attached_files>\n", ""),
        ] {
            assert_eq!(task.answer(&chat(inside)), answer, "{inside}");
        }
        let emoji = PROMPTS[8].0;
        assert_eq!(Task::Emoji.answer(emoji), "😍");
    }

    #[test]
    fn a_title_has_an_emoji_where_the_prompt_asks_for_one() {
        assert_eq!(Task::Title.answer(&PROMPTS[1].0.replace('§', CHAT)), r#"{"title":"🐾 Red fox"}"#);
        assert_eq!(Task::Title.answer(&PROMPTS[0].0.replace('§', CHAT)), r#"{"title":"Red fox"}"#);
    }

    #[test]
    fn the_answer_to_an_unknown_task_suits_every_kind() {
        assert_eq!(
            Task::Other.answer(&chat(CHAT)).parse::<Value>().unwrap_or_default(),
            serde_json::json!({"title": "Red fox", "tags": ["Art", "Animals"], "follow_ups": [], "queries": [], "text": "",
                "prompt": "Draw a red fox", "tool_calls": [], "operations": []})
        );
    }

    #[test]
    fn a_task_whose_prompt_holds_no_conversation_is_answered_too() {
        for (task, answer) in [(Task::Title, r#"{"title":"AI 绘图"}"#), (Task::Tags, r#"{"tags":["General"]}"#), (Task::ImagePrompt, "")]
        {
            assert_eq!(task.answer("请为它生成标题"), answer);
        }
        assert_eq!(Task::Title.answer(""), r#"{"title":"Image"}"#);
        assert_eq!(Task::Emoji.answer(""), "😊");
    }

    #[test]
    fn texts_that_were_made_to_take_long_do_not() {
        let pieces = [
            "USER: a\n",
            "USER: \nASSISTANT: \n",
            "<chat_history>",
            "<chat_history>\n",
            "</chat_history>",
            "<attached_files>",
            "<details",
            "<details></details>",
            "![",
            "[a](",
            "画",
            "\n",
            " ",
            "\"title\"",
        ];
        // One as large as a request may be; for the others a tenth shows well enough what does not grow in proportion.
        for (piece, size) in pieces.map(|piece| (piece, 800_000)).into_iter().chain([("USER: draw ![a](b) http://c\n", 8_000_000)]) {
            let text = format!("### Task:\n<chat_history>\nUSER: {}\n</chat_history>", piece.repeat(size / piece.len()));
            let began = std::time::Instant::now();
            assert_eq!(Task::from_text(Some(&text), &text), Some(Task::Other), "{piece}");
            Task::Other.answer(&text);
            let most = if cfg!(debug_assertions) { 20 } else { 1 };
            assert!(began.elapsed().as_secs() < most, "{piece} took {:?}", began.elapsed());
        }
    }
}
