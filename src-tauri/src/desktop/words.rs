//! What the app says: tray, dialogs, notifications. Chinese first, English complete; the pages have their own texts.

use picgate_gateway::{settings::Speech, shell::Page};

/// A language that the app speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Chinese.
    #[default]
    Chinese,
    /// English.
    English,
}

impl Language {
    /// What a tag such as `zh-CN` or `en_US.UTF-8` means; who speaks neither reads English.
    pub fn of_tag(tag: &str) -> Self {
        if tag.to_ascii_lowercase().starts_with("zh") { Self::Chinese } else { Self::English }
    }

    /// What the setting says; it may leave it to this computer.
    pub fn of_setting(speech: Speech) -> Self {
        match speech {
            Speech::Auto => Self::of_system(),
            Speech::Zh => Self::Chinese,
            Speech::En => Self::English,
        }
    }

    /// The language of this computer.
    pub fn of_system() -> Self {
        sys_locale::get_locale().map_or(Self::English, |tag| Self::of_tag(&tag))
    }

    /// The language of a page that calls itself `title`, such as `图片 · PicGate`; `None` if the title is no page's name.
    pub fn of_title(page: Page, title: &str) -> Option<Self> {
        let name = title.split(" · ").next().filter(|name| !name.is_empty())?;
        [Self::Chinese, Self::English].into_iter().find(|language| language.words().page(page).starts_with(name))
    }

    /// Its stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Chinese => "zh",
            Self::English => "en",
        }
    }

    /// Its tag, as browsers have it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en-US",
        }
    }

    /// Its texts.
    pub fn words(self) -> &'static Words {
        match self {
            Self::Chinese => &CHINESE,
            Self::English => &ENGLISH,
        }
    }

    /// One of two forms.
    fn pick(self, chinese: String, english: String) -> String {
        if self == Self::Chinese { chinese } else { english }
    }

    /// The tray's first line.
    pub fn status(self, port: u16, today: u32, running: usize) -> String {
        let (chinese, english) = match running {
            0 => ("空闲".to_owned(), "idle".to_owned()),
            n => (format!("正在画 {n} 张"), format!("{n} running")),
        };
        self.pick(format!("端口 {port} · 今日 {today} 张 · {chinese}"), format!("Port {port} · {today} today · {english}"))
    }

    /// The tray's first line while drawing is paused.
    pub fn paused(self, port: u16, running: usize) -> String {
        match running {
            0 => self.pick(format!("已暂停 · 端口 {port}"), format!("Paused · port {port}")),
            n => self.pick(format!("已暂停 · 还在画 {n} 张"), format!("Paused · {n} still running")),
        }
    }

    /// The tray's first line between the order to quit and the end.
    pub fn quitting(self, running: usize) -> String {
        self.pick(format!("画完 {running} 张后退出"), format!("Quits after {running} running {}", plural(running)))
    }

    /// The tray's first line while a newer version is installed.
    pub fn updating(self, running: usize) -> String {
        match running {
            0 => self.pick("正在安装新版本…".into(), "Installing the newer version…".into()),
            n => self.pick(format!("画完 {n} 张后安装新版本"), format!("Installs the newer version after {n} running {}", plural(n))),
        }
    }

    /// Asks what becomes of drawings that run.
    pub fn quit_question(self, running: usize) -> String {
        self.pick(
            format!("正在画 {running} 张图，可能已经计费。\n现在退出，没画完的图会丢失。"),
            format!(
                "{running} {} running and may already have been paid for.\nWhat is not finished is lost if you quit now.",
                if running == 1 { "drawing is" } else { "drawings are" }
            ),
        )
    }

    /// Another program has the port.
    pub fn port_taken(self, port: u16, holder: Option<&str>, free: Option<u16>) -> String {
        let by = holder.map_or_else(
            || self.pick(format!("端口 {port} 已被另一个程序占用。"), format!("Another program uses port {port}.")),
            |name| self.pick(format!("端口 {port} 已被 {name} 占用。"), format!("Port {port} is used by {name}.")),
        );
        let offer = free.map(|free| {
            self.pick(
                format!(
                    "\n\n可以这一次改用端口 {free}。请注意：\n· Open WebUI 里的接口地址要改成新端口；\n· 旧对话里的图片链接写的是端口 {port}，在它空出来之前打不开。"
                ),
                format!(
                    "\n\nPicGate can use port {free} this time. Mind:\n· the address in Open WebUI must name the new port;\n· links in old chats name port {port} and do not open until it is free again."
                ),
            )
        });
        by + &offer.unwrap_or_default()
    }

    /// Takes another port.
    pub fn use_port(self, port: u16) -> String {
        self.pick(format!("改用端口 {port}"), format!("Use port {port}"))
    }

    /// There is a newer version.
    pub fn update_question(self, newer: &str, present: &str) -> String {
        self.pick(
            format!("PicGate {newer} 已发布（当前是 {present}）。\n安装前会先画完正在画的图。"),
            format!("PicGate {newer} is there (this is {present}).\nWhat is being drawn is finished first."),
        )
    }

    /// A newer version is there, and the system did not install it.
    pub fn update_by_hand(self, newer: &str, error: &str) -> String {
        self.pick(
            format!("系统没有完成安装（{error}）。可以自己下载 PicGate {newer} 来安装；现在的版本照常运行。"),
            format!("The system did not install it ({error}). Download PicGate {newer} and install it yourself; this version goes on."),
        )
    }

    /// The gateway does not start.
    pub fn not_started(self, why: &str) -> String {
        self.pick(format!("网关没有启动。\n\n{why}"), format!("The gateway did not start.\n\n{why}"))
    }

    /// Pictures were drawn.
    pub fn finished(self, count: usize) -> String {
        match count {
            1 => self.pick("图片画好了".into(), "Your picture is ready".into()),
            n => self.pick(format!("{n} 张图片画好了"), format!("{n} pictures are ready")),
        }
    }

    /// The disk is nearly full.
    pub fn disk_low(self, free: u64) -> String {
        let room = picgate_gateway::model::size_in_words(free);
        self.pick(format!("只剩 {room}。请在“缓存”里清理，或腾出空间。"), format!("{room} left. Clean up in Cache, or make room."))
    }

    /// A window's title.
    pub fn title(self, page: Page) -> String {
        let name = self.words().page(page);
        // This one's name has it already.
        if page == Page::About { name.to_owned() } else { format!("{name} – PicGate") }
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "drawing" } else { "drawings" }
}

/// Texts without parts.
#[allow(missing_docs, reason = "each is its own documentation")]
pub struct Words {
    pub dashboard: &'static str,
    pub settings: &'static str,
    pub cache: &'static str,
    pub gallery: &'static str,
    pub logs: &'static str,
    pub about: &'static str,
    pub starting: &'static str,
    pub failed: &'static str,
    pub silent: &'static str,
    pub ending: &'static str,
    pub copy_url: &'static str,
    pub copy_key: &'static str,
    pub copy_link: &'static str,
    pub pause: &'static str,
    pub resume: &'static str,
    pub autostart: &'static str,
    pub open_data: &'static str,
    pub try_again: &'static str,
    pub restart: &'static str,
    pub quit: &'static str,
    pub quit_title: &'static str,
    pub quit_wait: &'static str,
    pub quit_anyway: &'static str,
    pub cancel: &'static str,
    pub later: &'static str,
    pub fine: &'static str,
    pub trouble_title: &'static str,
    pub no_tray: &'static str,
    pub no_tray_close: &'static str,
    pub keep_running: &'static str,
    pub draw_failed: &'static str,
    pub disk_title: &'static str,
    pub bucket_title: &'static str,
    pub bucket_body: &'static str,
    pub not_done: &'static str,
    pub update_title: &'static str,
    pub update_install: &'static str,
    pub update_failed: &'static str,
}

impl Words {
    /// A page's name.
    pub fn page(&self, page: Page) -> &'static str {
        match page {
            Page::Dashboard => self.dashboard,
            Page::Settings => self.settings,
            Page::Cache => self.cache,
            Page::Gallery => self.gallery,
            Page::Logs => self.logs,
            Page::About => self.about,
        }
    }
}

const CHINESE: Words = Words {
    dashboard: "仪表盘",
    settings: "设置",
    cache: "缓存",
    gallery: "图片",
    logs: "日志",
    about: "关于 PicGate",
    starting: "正在启动…",
    failed: "网关没有启动",
    silent: "网关没有响应",
    ending: "正在退出…",
    copy_url: "复制接口地址",
    copy_key: "复制 API 密钥",
    copy_link: "复制最近一张图的链接",
    pause: "暂停网关",
    resume: "恢复网关",
    autostart: "登录时启动",
    open_data: "打开数据文件夹",
    try_again: "重试…",
    restart: "重新启动 PicGate",
    quit: "退出",
    quit_title: "退出 PicGate？",
    quit_wait: "画完再退出",
    quit_anyway: "仍要退出",
    cancel: "取消",
    later: "稍后",
    fine: "知道了",
    trouble_title: "PicGate 无法启动",
    no_tray: "这个桌面没有可用的托盘，所以打开了仪表盘窗口。关闭窗口后 PicGate 仍可在后台运行；再次启动它就会回到这里。",
    no_tray_close: "这个桌面没有托盘图标。要让 PicGate 在后台继续运行吗？再次启动它就会打开窗口。",
    keep_running: "继续运行",
    draw_failed: "没有画成",
    disk_title: "磁盘快满了",
    bucket_title: "连不上存储桶",
    bucket_body: "新图片先保存在本机，恢复后自动上传。",
    not_done: "没有成功",
    update_title: "有新版本",
    update_install: "安装并重新启动",
    update_failed: "新版本没有装上",
};

const ENGLISH: Words = Words {
    dashboard: "Dashboard",
    settings: "Settings",
    cache: "Cache",
    gallery: "Gallery",
    logs: "Logs",
    about: "About PicGate",
    starting: "Starting…",
    failed: "The gateway did not start",
    silent: "The gateway does not answer",
    ending: "Ending…",
    copy_url: "Copy base URL",
    copy_key: "Copy API key",
    copy_link: "Copy link of the last picture",
    pause: "Pause the gateway",
    resume: "Resume the gateway",
    autostart: "Start at login",
    open_data: "Open data folder",
    try_again: "Try again…",
    restart: "Restart PicGate",
    quit: "Quit",
    quit_title: "Quit PicGate?",
    quit_wait: "Finish, then quit",
    quit_anyway: "Quit anyway",
    cancel: "Cancel",
    later: "Later",
    fine: "OK",
    trouble_title: "PicGate cannot start",
    no_tray: "This desktop has no tray that PicGate can use, so here is the dashboard. PicGate can go on in the background when you close it; start it again to come back.",
    no_tray_close: "This desktop has no tray icon. Shall PicGate go on in the background? Start it again to open a window.",
    keep_running: "Keep running",
    draw_failed: "A drawing failed",
    disk_title: "The disk is nearly full",
    bucket_title: "The bucket cannot be reached",
    bucket_body: "New pictures are kept on this computer and uploaded when it works again.",
    not_done: "That did not work",
    update_title: "A newer version",
    update_install: "Install and restart",
    update_failed: "The newer version was not installed",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many_read_naturally_in_english() {
        assert_eq!(Language::English.quitting(1), "Quits after 1 running drawing");
        assert_eq!(Language::English.finished(3), "3 pictures are ready");
        assert!(Language::English.quit_question(1).starts_with("1 drawing is running"));
    }

    #[test]
    fn a_systems_language_is_told_from_its_tag() {
        for (tag, language) in
            [("zh-CN", Language::Chinese), ("zh_TW.UTF-8", Language::Chinese), ("en-US", Language::English), ("C", Language::English)]
        {
            assert_eq!(Language::of_tag(tag), language, "{tag}");
        }
    }

    #[test]
    fn pages_are_called_as_they_call_themselves() {
        let texts = [
            (Language::Chinese, include_str!("../../../ui/messages/zh-CN/common.json")),
            (Language::English, include_str!("../../../ui/messages/en/common.json")),
        ];
        for (language, text) in texts {
            let texts: serde_json::Value = serde_json::from_str(text).expect("JSON");
            for page in Page::ALL {
                let name = texts[format!("nav_{}", page.word())].as_str().expect("a name");
                assert_eq!(Language::of_title(page, &format!("{name} · PicGate")), Some(language), "{name}");
            }
        }
    }

    #[test]
    fn a_pages_language_is_told_from_its_title() {
        assert_eq!(Language::of_title(Page::Gallery, "图片 · PicGate"), Some(Language::Chinese));
        assert_eq!(Language::of_title(Page::About, "About · PicGate"), Some(Language::English));
        assert_eq!(Language::of_title(Page::Gallery, "一只猫 · PicGate"), None);
        assert_eq!(Language::of_title(Page::Gallery, "PicGate"), None);
        assert_eq!(Language::of_title(Page::Gallery, ""), None);
    }

    #[test]
    fn a_taken_port_comes_with_the_warning_about_old_links() {
        for language in [Language::Chinese, Language::English] {
            let text = language.port_taken(5643, Some("docker-proxy (312)"), Some(5644));
            assert!(text.contains("docker-proxy (312)") && text.contains("5644") && text.matches("5643").count() == 2, "{text}");
            assert!(!language.port_taken(5643, None, None).contains("5644"));
        }
    }
}
