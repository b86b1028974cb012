//! What the command line says, in Chinese and in English: one entry for each sentence, with values in braces. Its language is
//! the one that the doctor uses too. Errors are in `errors`; `--help` is English.

use std::{env, sync::OnceLock};

use crate::doctor::filled;

/// Fixes the language for scripts and containers, where the system names none.
const VARIABLE: &str = "PICGATE_LANGUAGE";

/// A sentence: its name, Chinese, English.
type Entry = (&'static str, &'static str, &'static str);

#[rustfmt::skip]
const ENTRIES: &[Entry] = &[
    ("ready", "PicGate {version} 已启动。", "PicGate {version} is ready."),
    ("base", "  接口   {base}/v1", "  Base URL   {base}/v1"),
    ("key", "  密钥   {key}", "  API key    {key}"),
    ("key_set", "{key}（由 PICGATE_GATEWAY_KEY 设置）", "{key}  (set by PICGATE_GATEWAY_KEY)"),
    ("key_part", "{key}（完整密钥：{program} key{folder}）", "{key}  (whole: {program} key{folder})"),
    ("upstream", "  上游   {upstream}（模型 {model}）", "  Upstream   {upstream} (model {model})"),
    ("data", "  数据   {path}", "  Data       {path}"),
    ("demo", "  还没有设置上游，由内置演示作画：PICGATE_UPSTREAM_API_KEY=…（见 --help），或在后台添加。", "  The built-in demo draws until a real upstream is set: PICGATE_UPSTREAM_API_KEY=… (see --help)."),
    ("admin_ticket", "  后台   {base}/admin  一次性口令，用过即失效：{ticket}", "  Admin      {base}/admin  set-up ticket, valid until used: {ticket}"),
    ("ticket_part", "{ticket}（完整口令：加上 --print-ticket 启动，或停止后运行 reset-admin）", "{ticket}  (whole: start with --print-ticket, or stop it and run reset-admin)"),
    ("admin", "  后台   {base}/admin", "  Admin      {base}/admin"),
    ("next_1", "下一步：在 Open WebUI 里添加一个 OpenAI 连接，填入上面的接口和密钥，选择模型“{model}”，就可以画图了。", "Next: in Open WebUI add an OpenAI connection with the base URL and key above, choose the model '{model}' and draw."),
    ("next_2", "        Docker 里的 Open WebUI 用 http://host.docker.internal:{port}/v1 访问这台电脑；", "      Open WebUI in Docker calls this computer http://host.docker.internal:{port}/v1;"),
    ("next_3", "        在 Linux 上要先对 Docker 开放：/admin 里的“设置 → 安全”，或加上 --host 0.0.0.0。", "      on Linux open PicGate to Docker first: /admin, Settings > Security, or --host 0.0.0.0."),
    ("no_threads", "无法启动线程：{error}", "the program cannot start its threads: {error}"),
    ("container", "这是容器：在宿主机上执行一次下面的命令，把 VOLUME 换成卷名或挂载的文件夹：", "this is a container; run once on its host, with the volume's name or the mounted folder for VOLUME:"),

    ("reset_done", "/admin 的用户名和密码已清除，所有登录都已失效。", "Name and password of /admin are forgotten and all sessions have ended."),
    ("reset_next", "启动网关，打开 /admin，用这个一次性口令重新设置：{ticket}", "Start the gateway, open /admin and set it up with this ticket: {ticket}"),
    ("no_key", "{path} 里还没有密钥；先启动一次网关，或用 --data-dir 指定它的文件夹", "there is no key yet in {path}; start the gateway once, or name its folder with --data-dir"),
    ("no_answer", "{url} 没有响应", "nothing answers at {url}"),
    ("answers_elsewhere", "这个数据文件夹的网关正在端口 {port} 上运行：加上 --port {port}", "the gateway of this data folder runs on port {port}: add --port {port}"),

    ("ending", "正在结束；再按一次立即退出", "ending; once more ends at once"),
    ("progress", "图片 {done} / {total}，{bytes} / {total_bytes}", "{done} of {total} pictures, {bytes} of {total_bytes}"),
    ("keys_by_environment", "由环境变量提供的密钥不会写入备份，无论是否包含密钥", "keys that the environment gives are not in the backup, with secrets or without"),
    ("packed", "{file}：{images} 张图片，其中 {blobs} 张在本地，共 {size}。", "{file}: {images} images, {blobs} pictures on disk with {size}."),
    ("packed_absent", "有 {absent} 张应在本地的图片缺失或损坏，没有写入备份；详情见网关日志", "{absent} pictures that should be on disk are missing or damaged there and not in the backup; the log of the gateway has more"),
    ("packed_secrets", "密钥和管理员密码已加密放入其中。图片和提示词没有加密：请把文件放在只有你能读取的地方。", "Keys and the admin's password are in it, sealed. Pictures and prompts are not: keep the file where only you can read it."),
    ("packed_open", "其中没有密钥和管理员账户（--with-secrets 可以一并放入）。图片和提示词在里面：请自行保管好。", "Keys and the admin's account are not in it (--with-secrets puts them along). Pictures and prompts are: keep it to yourself."),
    ("sealed", "备份里的密钥已加密；{why}，或者不恢复它们：--without-secrets", "its secrets are sealed; {why}, or do without them: --without-secrets"),
    ("restored", "{folder}：{images} 张图片，其中 {blobs} 张在本地，共 {size}。所有校验值都正确。", "{folder}: {images} images, {blobs} pictures with {size}. Every digest is right."),
    ("restored_absent", "有 {absent} 张图片在备份时就已缺失或损坏；存储桶里有的会从那里取回", "{absent} pictures were missing or damaged when the backup was made; those in the bucket come back from there"),
    ("aside", "原来的内容已移到 {path}。", "What was there before is in {path}."),
    ("left_out", "未采用：{what}：{why}", "left out: {what}: {why}"),
    ("notable", "下列设置随备份恢复，它们决定谁能访问、图片放到哪里、哪些会被清理；请确认都是你自己的：", "These came with it and decide who is reached, where pictures go and what is removed; see that they are yours:"),
    ("closed", "现在只有这台电脑能访问：要再次对外开放，请到 /admin 里设置（需要密码）。", "Only this computer reaches it now: open it to others again under /admin, which asks for the password."),
    ("start_same", "密钥和管理员账户与原来相同。启动：{again}", "Keys and the admin's account are as they were. Start it: {again}"),
    ("start_new", "其中没有密钥：下次启动会生成新的网关密钥和 /admin 的一次性口令。启动：{again}", "It holds no keys: the next start makes a new gateway key and a ticket for /admin. Start it: {again}"),
    ("enter_keys", "然后到 /admin 重新填写上游和存储桶的密钥，并把新的网关密钥填入客户端。", "Then enter the keys of upstreams and bucket again under /admin, and the new gateway key in your clients."),
    ("listing", "已列出 {listed} 个对象，登记 {made} 张图片", "{listed} objects listed, {made} images made"),
    ("rebuilt", "从 {listed} 个对象登记了 {made} 张图片；{known} 张原本就有。", "{made} images made from {listed} objects; {known} were known already."),
    ("rebuilt_left", "没有处理：{deleted} 张已删除的图片，{strange} 个不属于 PicGate 的对象。", "Left alone: {deleted} deleted images, {strange} objects that are none of PicGate's."),
    ("early", "提前结束了；再运行一次可以继续。", "Ended early; run it again to go on."),
    ("rebuilt_failed", "有 {failed} 个对象无法读取；再运行一次会重试", "{failed} objects could not be read; run it again to try them once more"),
    ("rebuilt_stays", "已登记的会保留；再运行一次可以继续", "what was made stays; run it again to go on"),
    ("import_runs", "正在运行的网关可以在 /admin 里接管，前提是旧数据在它自己的数据文件夹里", "a gateway that runs takes it over from /admin, if it is in its own data folder"),
    ("importing", "已接管 {images} 张图片，{size}", "{images} images taken over, {size}"),
    ("import_stays", "已接管的会保留；再运行一次可以继续", "what was taken over stays; run it again to go on"),
    ("imported", "已接管 {images} 张图片（{size}），其中 {in_bucket} 张只在存储桶里；{known} 张原本就有。", "{images} images taken over ({size}), {in_bucket} of them in the bucket alone; {known} were known already."),
    ("imported_corrected", "有 {corrected} 张的类型与记录不符，以文件内容为准。", "{corrected} were of another type than noted; the bytes decide."),
    ("imported_settings", "设置：{list}。", "Settings: {list}."),
    ("imported_account", "账户 {name} 的密码不变。", "The account {name} keeps its password."),
    ("imported_failed", "有 {failed} 张图片无法接管；{folder} 没有改动，什么都没有丢失", "{failed} images could not be taken over; {folder} is unchanged, so nothing is lost"),

    ("passphrase_open", "这台电脑上的其他人能读取 {path}：执行 chmod 600 可以只留给你自己", "others on this computer can read {path}: chmod 600 keeps the passphrase to you"),
    ("passphrase_unreadable", "无法从 {path} 读取口令：{error}", "the passphrase cannot be read from {path}: {error}"),
    ("passphrase_needed", "需要口令：用 --passphrase-file 指定文件，或设置 {variable}", "a passphrase is needed: name a file with --passphrase-file, or set {variable}"),
    ("passphrase_no_terminal", "无法询问口令：{error}", "no passphrase can be asked for: {error}"),
    ("passphrase", "口令：", "Passphrase: "),
    ("passphrase_again", "再输入一次：", "The same again: "),
    ("passphrase_differs", "两次输入的不一样", "the two are not the same"),
];

/// Whether this process speaks Chinese: what the variable says, else the language of the terminal.
pub fn chinese() -> bool {
    static CHINESE: OnceLock<bool> = OnceLock::new();
    *CHINESE.get_or_init(|| {
        let variable = |name: &&str| env::var(name).ok().filter(|value| !(value.is_empty() || *name == VARIABLE && value == "auto"));
        [VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(variable).is_some_and(|language| language.starts_with("zh"))
    })
}

/// One of two texts, by the language of this process.
pub fn pick<'a>(zh: &'a str, en: &'a str) -> &'a str {
    if chinese() { zh } else { en }
}

/// A sentence with its values.
pub fn words(name: &str, values: &[(&str, &dyn std::fmt::Display)]) -> String {
    // A name that is not in the table would be our own mistake; it is told rather than hidden.
    let (_, zh, en) = ENTRIES.iter().find(|(known, ..)| *known == name).copied().unwrap_or(("", name, name));
    let values: Vec<(&str, String)> = values.iter().map(|(name, value)| (*name, value.to_string())).collect();
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    filled(pick(zh, en), &values)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(template: &str) -> BTreeSet<&str> {
        template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_sentence_is_there_once_in_both_languages_with_the_same_values() {
        let mut seen = BTreeSet::new();
        for (name, zh, en) in ENTRIES {
            assert!(seen.insert(name), "{name} twice");
            assert_eq!(names(zh), names(en), "{name}");
            let is_han = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            assert!((is_han(zh) || !zh.chars().any(|c| c.is_alphabetic() && !c.is_ascii())) && !is_han(en), "{name}");
        }
    }

    #[test]
    fn what_is_said_is_known_and_what_is_known_is_said() {
        let sources = [include_str!("../cli.rs"), include_str!("state.rs"), include_str!("passphrase.rs")];
        let calls = sources.iter().flat_map(|source| source.split("words(\"").skip(1));
        let said: BTreeSet<&str> = calls.map(|call| call.split('"').next().unwrap_or_default()).collect();
        let known: BTreeSet<&str> = ENTRIES.iter().map(|(name, ..)| *name).collect();
        assert_eq!(said, known);
    }
}
